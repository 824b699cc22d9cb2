# The commands of Perennial. `make demo` and `make test` need nothing set up before them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help check test translations soak screenshots

help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-main: requirements/main.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/main.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/installed-dev: requirements/dev.txt $(VENV)/installed-main
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

#: make test         everything on SQLite and PostgreSQL, with real Redis, Pebble, SMTP and Chromium
test: $(VENV)/installed-dev
	sh tests/setup.sh
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

#: make check        style, types, imports, templates, translations, dependencies, dangerous calls
check: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet portal/templates
	$(BIN)/python -m tests.house.catalogues
	$(BIN)/deptry portal jobs
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml portal jobs

#: make translations bring the catalogues to the sources (new sentences still want their translation)
translations: $(VENV)/installed-dev
	$(BIN)/python -m tests.house.catalogues --update

#: make soak         the exhaustive fault runs; the result is written to bench/results/
soak: $(VENV)/installed-dev
	sh tests/setup.sh
	$(BIN)/python -m bench.soak $(ARGS)

#: make screenshots  write docs/screenshots/ anew
screenshots: $(VENV)/installed-dev
	sh tests/setup.sh
	PORTAL_SCREENSHOTS=docs/screenshots $(BIN)/python -m pytest tests/stories/test_browser_story.py $(ARGS)
