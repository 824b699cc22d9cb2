"""Fetching a list: from a stranger's address, within limits."""

from __future__ import annotations

import io
import time

import pytest

from portal.adapters import crl_download
from portal.adapters.crl_download import fetch
from portal.adapters.errors import AdapterError
from tests.crls import crl_server

ALLOWED = {"timeout": 5.0, "allowed_networks": ("127.0.0.0/8",)}


@pytest.fixture
def server():
    with crl_server() as running:
        running.body = b"x" * 1000
        yield running


def refusal(url, **changes) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        fetch(url, None, io.BytesIO(), **{**ALLOWED, **changes})
    return caught.value


def test_the_body_and_its_etag_are_taken(server):
    server.etag, target = '"one"', io.BytesIO()
    fetched = fetch(server.url, None, target, **ALLOWED)
    assert (fetched.is_unchanged, fetched.etag, target.getvalue()) == (False, '"one"', server.body)


def test_an_unchanged_list_is_not_sent_again(server):
    server.etag, target = '"one"', io.BytesIO()
    fetched = fetch(server.url, '"one"', target, **ALLOWED)
    assert (fetched.is_unchanged, fetched.etag, target.getvalue()) == (True, '"one"', b"")


def test_one_byte_too_many_is_too_many(server):
    assert refusal(server.url, most_bytes=999).code == "crl_too_large"
    fetch(server.url, None, io.BytesIO(), most_bytes=1000, **ALLOWED)


def test_what_trickles_is_given_up(server, monkeypatch):
    monkeypatch.setattr(crl_download, "MOST_SECONDS", -1.0)
    error = refusal(server.url)
    assert (error.code, error.permanent) == ("crl_unavailable", False)


@pytest.mark.parametrize("status", [404, 500, 503])
def test_any_other_answer_is_none(server, status):
    server.status = status
    error = refusal(server.url)
    assert (error.code, error.permanent) == ("crl_unavailable", False)


def test_an_address_inside_is_refused_unless_allowed(server):
    error = refusal(server.url, allowed_networks=())
    assert (error.code, error.permanent) == ("outbound_address_forbidden", True)
    assert server.asked == []


def test_a_redirect_is_followed_to_where_one_may_go(server):
    with crl_server() as other:
        other.body, server.location = b"elsewhere", other.url
        target = io.BytesIO()
        fetch(server.url, None, target, **ALLOWED)
        assert target.getvalue() == b"elsewhere"


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://", "http://[::ffff"]
)
def test_a_redirect_to_something_else_than_the_web_is_refused(server, location):
    server.location = location
    assert refusal(server.url).code in ("crl_unavailable", "outbound_unreachable")


def test_a_redirect_inside_is_refused(server):
    server.location = "http://169.254.169.254/latest/meta-data"
    assert refusal(server.url).code == "outbound_address_forbidden"


def test_a_circle_of_redirects_ends(server):
    server.location = server.url
    started = time.monotonic()
    assert refusal(server.url).code == "crl_unavailable"
    assert len(server.asked) == crl_download.MOST_REDIRECTS + 1
    assert time.monotonic() - started < 5
