"""What pebble lacks, in front of it: renewal information, and `replaces` on new orders. Source: RFC 9773.

with pebble() as server, ari_front(server.directory_url) as front:
    front.proxy.directory_url …; front.windows[certificate_id] = (start, end); front.verdict = "malformed"
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from tests.acme_proxy import AcmeProxy, Answer, Request, acme_proxy, problem

PATH = "/renewal-info/"


@dataclass
class AriFront:
    """`windows` are what is suggested, by certificate id; other ids are not known (404).

    A predecessor can be replaced once; `verdict` is a problem type that every `replaces` is refused with instead.
    """

    proxy: AcmeProxy
    windows: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    retry_after: str | None = "21600"
    explanation_url: str | None = None
    verdict: str | None = None
    meta: Mapping[str, object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Answer | None:
        """Renewal information, and refusals of `replaces`; all else goes on to pebble."""
        if request.path.startswith(PATH):
            return self._suggest(request)
        payload = request.payload if isinstance(request.payload, dict) else {}
        wanted = payload.get("replaces")
        if request.path != "/order-plz" or wanted is None:
            return None
        if self.verdict is not None:
            return problem(self.verdict, 409 if self.verdict == "alreadyReplaced" else 400)
        return problem("alreadyReplaced", 409) if wanted in self.replaced else None

    def edit(self, request: Request, answer: Answer) -> Answer:
        """Put `renewalInfo` and `meta` into the directory; note what was replaced once pebble has the order."""
        if request.path == "/order-plz" and answer.status == 201 and request.payload.get("replaces"):
            self.replaced.append(request.payload["replaces"])
        if request.path != "/dir" or answer.status != 200:
            return answer
        directory = json.loads(answer.body)
        directory["renewalInfo"] = f"https://127.0.0.1:{self.proxy.port}{PATH.rstrip('/')}"
        directory["meta"] = {**directory.get("meta", {}), **self.meta}
        return replace(answer, body=json.dumps(directory).encode())

    def _suggest(self, request: Request) -> Answer:
        assert request.method == "GET"
        certificate_id = request.path.removeprefix(PATH)
        self.asked.append(certificate_id)
        if certificate_id not in self.windows:
            return problem("malformed", 404, "no such certificate")
        start, end = self.windows[certificate_id]
        body: dict[str, object] = {"suggestedWindow": {"start": start.isoformat(), "end": end.isoformat()}}
        if self.explanation_url is not None:
            body["explanationURL"] = self.explanation_url
        headers = {"Retry-After": self.retry_after} if self.retry_after is not None else {}
        return Answer(200, json.dumps(body).encode(), headers)


@contextmanager
def ari_front(directory_url: str) -> Iterator[AriFront]:
    """Run it in front of the server whose directory that is."""
    with acme_proxy(directory_url) as proxy:
        front = AriFront(proxy)
        proxy.front, proxy.edit = front.answer, front.edit
        yield front
