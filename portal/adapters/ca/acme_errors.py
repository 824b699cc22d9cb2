"""How an ACME server says no, in our words. Source: RFC 8555, 6.7 (problem documents) and 6.6 (rate limits)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from portal.adapters.errors import AdapterError

_PREFIX = "urn:ietf:params:acme:error:"
_TEXT_LENGTH = 300
_LONGEST_WAIT = timedelta(days=31)
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\s]+")

#: Problems that pass by themselves, though the server calls them the client's (status 4xx).
_TEMPORARY_KINDS = frozenset({"serverInternal", "badNonce", "orderNotReady", "dns", "connection", "tls"})
_TEMPORARY_STATUSES = frozenset({408, 409, 425})


@dataclass(frozen=True)
class Problem:
    """A refusal. `kind` is the error type without ACME's prefix, whether it is one that we know or not."""

    status: int
    kind: str
    detail: str
    location: str | None = None
    retry_at: datetime | None = None


class AcmeProblem(AdapterError):
    """A refusal with the CA's own reasons at hand, for the steps that act on them."""

    def __init__(self, problem: Problem) -> None:
        code, permanent = _meaning(problem)
        text = problem.detail or f"HTTP {problem.status}"
        super().__init__(
            code, permanent=permanent, not_before=problem.retry_at, problem=problem.kind, detail=text
        )
        self.problem = problem


def _meaning(problem: Problem) -> tuple[str, bool]:
    """The code of a problem, and whether it is permanent. An account that is gone is mended by registering again."""
    if problem.kind == "rateLimited" or problem.status == 429:
        return "ca_rate_limited", False
    if problem.kind == "accountDoesNotExist":
        return "ca_account_gone", False
    is_passing = problem.status >= 500 or problem.status in _TEMPORARY_STATUSES
    if is_passing or problem.kind in _TEMPORARY_KINDS:
        return "ca_unavailable", False
    return "ca_refused", True


def unavailable(detail: str) -> AdapterError:
    """The CA cannot be reached, or what it answers makes no sense: to be tried again."""
    return AdapterError("ca_unavailable", permanent=False, detail=short(detail))


def refused(detail: str) -> AdapterError:
    """Trying again would not help."""
    return AdapterError("ca_refused", permanent=True, detail=short(detail))


def order_gone() -> AdapterError:
    """The order cannot be carried on; a new one can be made."""
    return AdapterError("ca_order_gone", permanent=False)


def read_problem(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """The problem document of an answer; never raises, since not every error page is one."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    fields = document if isinstance(document, dict) else {}
    return Problem(
        status=status,
        kind=short(str(fields.get("type", "about:blank"))).removeprefix(_PREFIX),
        detail=short(str(fields.get("detail", ""))),
        location=headers.get("Location"),
        retry_at=retry_at(headers),
    )


def describe(error: object) -> str | None:
    """A problem inside an order or a challenge as one short line: "dns: no TXT record found"."""
    if not isinstance(error, dict):
        return None
    kind = str(error.get("type", "")).removeprefix(_PREFIX)
    return short(": ".join(part for part in (kind, str(error.get("detail", ""))) if part)) or None


def retry_at(headers: Mapping[str, str]) -> datetime | None:
    """Retry-After (RFC 9110, 10.2.3: seconds or a date) as aware UTC, at most a month ahead; None where absent."""
    text = headers.get("Retry-After", "").strip()
    now = datetime.now(UTC)
    if text.isascii() and text.isdigit():
        return now + min(timedelta(seconds=int(text[:9])), _LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return min(aware, now + _LONGEST_WAIT)


def short(text: str) -> str:
    """Someone else's text, made safe to show and to log: one line, no control characters, at most 300 characters."""
    line = _NOT_PRINTABLE.sub(" ", text).strip()
    return line if len(line) <= _TEXT_LENGTH else line[: _TEXT_LENGTH - 1] + "…"
