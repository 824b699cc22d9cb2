"""What a reader sees when something is refused or breaks."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.adapters.errors import AdapterError
from portal.app import create_app
from portal.domain.errors import DomainError
from portal.settings import MAX_UPLOAD_BYTES
from tests.clients import PortalClient
from tests.databases import open_app

pytestmark = pytest.mark.databases("sqlite")


def add_failures(app: Flask) -> None:
    """Pages that fail, each in its way."""

    def fail(error: Exception) -> None:
        raise error

    failures = {
        "refused": lambda: fail(DomainError("certificate_revoked")),
        "hosted": lambda: fail(DomainError("already_hosted")),
        "unknown": lambda: fail(DomainError("a_code_without_a_sentence")),
        "outside": lambda: fail(AdapterError("ca_unavailable", permanent=False)),
        "crash": lambda: fail(RuntimeError("the secret is hunter2")),
    }
    for name, view in failures.items():
        app.add_url_rule(f"/fail/{name}", name, view, methods=["GET", "POST"])


@pytest.fixture
def failing(database, settings):
    app = create_app(settings)
    app.test_client_class = PortalClient
    add_failures(app)
    with open_app(app):
        yield app.test_client()


@pytest.mark.parametrize(
    ("name", "status"),
    [("refused", 422), ("hosted", 409), ("unknown", 422), ("outside", 503), ("crash", 500)],
)
def test_each_failure_has_its_status_as_page_and_as_partial(failing, name, status):
    assert failing.get(f"/fail/{name}").status_code == status
    partial = failing.get(f"/fail/{name}", htmx=True)
    assert partial.status_code == status
    assert partial.headers["HX-Retarget"] == "#toasts"
    assert "<html" not in partial.text


def test_a_crash_shows_the_request_id_and_nothing_of_the_cause(failing, capsys):
    response = failing.get("/fail/crash")
    assert response.headers["X-Request-Id"] in response.text
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text


def test_an_unknown_code_shows_the_request_id(failing):
    response = failing.get("/fail/unknown")
    assert response.headers["X-Request-Id"] in response.text


def test_a_given_request_id_is_kept_if_it_is_harmless(client):
    given = {"X-Request-Id": "abcdef-123456"}
    assert client.get("/healthz", headers=given).headers["X-Request-Id"] == "abcdef-123456"
    nasty = {"X-Request-Id": "a b\tc<script>"}
    assert client.get("/healthz", headers=nasty).headers["X-Request-Id"] != nasty["X-Request-Id"]


def test_pages_that_do_not_exist_say_so_to_everybody(client, cast):
    assert client.get("/nothing/here").status_code == 404
    client.log_in(cast.alice)
    page = client.get("/nothing/here")
    assert page.status_code == 404
    assert cast.alice.email in page.text


def test_a_form_that_is_too_large_is_refused_before_it_is_read(client):
    big = {"email": "x" * (MAX_UPLOAD_BYTES * 2)}
    assert client.post("/login", data=big).status_code == 413


def test_a_page_is_not_opened_in_the_wrong_way(client):
    assert client.get("/logout").status_code == 405
