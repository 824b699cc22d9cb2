# The commands of Perennial. `make demo` and `make test` need nothing set up before them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: help demo serve check test translations bench soak screenshots lock

help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Perennial needs Python 3.11 or newer. Where it has another name: make … PYTHON=python3.12" >&2; exit 1; }
	@echo "· making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "Python's venv module is needed (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }

$(VENV)/installed-main: requirements/main.txt pyproject.toml | $(BIN)/python
	@echo "· installing what Perennial runs on"
	@$(PIP) --require-hashes -r requirements/main.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/installed-dev: requirements/dev.txt $(VENV)/installed-main
	@echo "· installing what its tests and checks need"
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

#: make demo         the whole story on this machine; ARGS=--exit ends with it
demo: $(VENV)/installed-main
	@$(BIN)/portal demo $(ARGS)

#: make serve        an installation of your own in ./var
serve: $(VENV)/installed-main
	@$(BIN)/portal up $(ARGS)

#: make test         everything on SQLite and PostgreSQL, with real Redis, Pebble, SMTP and Chromium
test: $(VENV)/installed-dev
	sh tests/setup.sh
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

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

#: make bench        figures against peers; ARGS=scan|renewal|waiting|engine for one; written to bench/results/
bench: $(VENV)/installed-dev
	$(BIN)/python -m bench $(ARGS)

#: make soak         the exhaustive fault runs and ten simulated years; written to bench/results/
soak: $(VENV)/installed-dev
	sh tests/setup.sh
	$(BIN)/python -m bench.decade
	$(BIN)/python -m bench.faults
	$(BIN)/python -m bench.soak $(ARGS)

#: make screenshots  write docs/screenshots/ anew
screenshots: $(VENV)/installed-dev
	sh tests/setup.sh
	PORTAL_SCREENSHOTS=docs/screenshots $(BIN)/python -m pytest tests/stories/test_browser_story.py $(ARGS)

#: make lock         choose versions anew; writes requirements/*.txt with hashes
lock: $(VENV)/installed-dev
	@$(PIP) uv
	cd requirements && ../$(BIN)/uv pip compile $(LOCK) main.in -o main.txt $(ARGS)
	cd requirements && ../$(BIN)/uv pip compile $(LOCK) dev.in -o dev.txt $(ARGS)
