"""Reading an ACME server's refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from portal.adapters.ca.acme_errors import describe, read_problem, retry_at, short

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", NOW),
        ("120", NOW + timedelta(minutes=2)),
        (" 120 ", NOW + timedelta(minutes=2)),
        ("Tue, 24 Nov 2026 13:00:00 GMT", NOW + timedelta(hours=1)),
        ("Tue, 24 Nov 2026 13:00:00", NOW + timedelta(hours=1)),
        ("Tue, 24 Nov 2026 15:00:00 +0200", NOW + timedelta(hours=1)),
        ("99999999999999999999999999", NOW + timedelta(days=31)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", NOW + timedelta(days=31)),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_moment(text: str, expected: datetime | None) -> None:
    with time_machine.travel(NOW, tick=False):
        assert retry_at({"Retry-After": text}) == expected


def test_no_retry_after_is_no_moment() -> None:
    assert retry_at({}) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"null", b'{"type": 5, "detail": {}}', b"\xff\xff"])
def test_what_is_no_problem_document_is_a_problem_all_the_same(body: bytes) -> None:
    assert read_problem(502, {}, body).status == 502


def test_an_error_inside_an_order_is_one_line() -> None:
    error = {"type": "urn:ietf:params:acme:error:dns", "detail": "no TXT\nrecord"}
    assert describe(error) == "dns: no TXT record"
    assert describe({"detail": "only words"}) == "only words"
    assert describe({}) is None
    assert describe("text") is None


def test_texts_lose_what_could_forge_or_reorder_a_line() -> None:
    assert short("a\r\nb\x1b[31mc\u202ed\x00e\u2028f") == "a b [31mc d e f"
    assert len(short("x" * 5000)) == 300
