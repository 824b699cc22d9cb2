"""A browser small enough to read: follows links and redirects, keeps cookies, sends the forms that pages contain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

TIMEOUT = 30.0


class UnexpectedPage(Exception):
    """A page is not what the story expects; the text says what it said instead."""


@dataclass
class Form:
    """A form with what its fields hold."""

    action: str
    method: str
    values: list[tuple[str, str]] = field(default_factory=list)
    #: Every value that each radio group offers.
    choices: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Page:
    """A page as it was answered."""

    url: str
    status: int
    forms: list[Form]
    links: list[str]
    alerts: list[str]

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def form(self, action: str) -> Form:
        """The form that is sent to a path beginning with `action`. Raises UnexpectedPage."""
        for one in self.forms:
            if urlsplit(one.action or self.url).path.startswith(action):
                return one
        raise UnexpectedPage(f"{self.path} has no form for {action}{self.said()}")

    def link(self, beginning: str) -> str:
        """The first link to a path beginning so. Raises UnexpectedPage."""
        for one in self.links:
            if urlsplit(one).path.startswith(beginning):
                return one
        raise UnexpectedPage(f"{self.path} has no link to {beginning}{self.said()}")

    def said(self) -> str:
        """What the page's alerts say, for an error message."""
        return (
            f" (HTTP {self.status}; {' / '.join(self.alerts)[:300]})"
            if self.alerts
            else f" (HTTP {self.status})"
        )


class _Reader(HTMLParser):
    """Gathers forms, links and alerts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.alerts: list[str] = []
        self._form: Form | None = None
        self._textarea: str | None = None
        self._alert_tag = ""
        self._alert_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in have:
            self.links.append(have["href"])
        elif tag == "form":
            self._form = Form(have.get("action", ""), have.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and "disabled" not in have:
            self._read_field(tag, have, self._form)
        if not self._alert_depth and {"alert", "form-error"} & set(have.get("class", "").split()):
            self._alert_tag = tag
        self._alert_depth += tag == self._alert_tag

    def _read_field(self, tag: str, have: Mapping[str, str], form: Form) -> None:
        name, kind = have.get("name", ""), have.get("type", "text")
        if not name or tag not in ("input", "textarea", "select"):
            return
        if tag == "textarea":
            self._textarea = name
        if kind in ("radio", "checkbox"):
            form.choices.setdefault(name, []).append(have.get("value", "on"))
            if "checked" not in have:
                return
        if tag == "input" and kind not in ("submit", "button", "file", "image"):
            form.values.append((name, have.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            self._textarea = None
        elif tag == self._alert_tag:
            self._alert_depth -= 1
            self._alert_tag = self._alert_tag if self._alert_depth else ""

    def handle_data(self, data: str) -> None:
        if self._textarea is not None and self._form is not None:
            self._form.values.append((self._textarea, data))
        elif self._alert_depth and data.strip():
            self.alerts.append(" ".join(data.split()))


class Browser:
    """One visitor."""

    def __init__(self, base_url: str, language: str) -> None:
        self._base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"Accept-Language": language, "User-Agent": "Perennial demo"})

    def get(self, path: str) -> Page:
        """Open an address (absolute, or a path of the portal) and follow where it leads."""
        return self._read(self._session.get(urljoin(self._base_url, path), timeout=TIMEOUT))

    def send(
        self,
        page: Page,
        form: Form,
        values: Mapping[str, str],
        files: Mapping[str, tuple[str, str]] | None = None,
    ) -> Page:
        """Send a form of `page` with these values in place of its own; `files` are (name, text) by field."""
        kept = [(name, value) for name, value in form.values if name not in values]
        url = urljoin(page.url, form.action)
        answer = self._session.post(
            url,
            data=[*kept, *values.items()],
            files=dict(files or {}) or None,
            headers={"Referer": page.url},
            timeout=TIMEOUT,
        )
        return self._read(answer)

    def _read(self, answer: requests.Response) -> Page:
        reader = _Reader()
        reader.feed(answer.text)
        return Page(answer.url, answer.status_code, reader.forms, reader.links, reader.alerts)
