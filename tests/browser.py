"""Debian's Chromium through Playwright, watched: console errors, CSP violations and accessibility."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
#: WCAG 2.2 AA and what it builds on.
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WATCH_CSP = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI || event.sourceFile}`));
"""


@contextmanager
def chromium_browser() -> Iterator[Browser]:
    """Run Chromium."""
    path = shutil.which("chromium")
    assert path, "chromium is not installed: run tests/setup.sh"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """A person at a browser. `problems` are its complaints; a status that is `expected` is none."""

    page: Page
    language: str
    problems: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def watch(self) -> None:
        self.page.add_init_script(WATCH_CSP)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"{self.page.url}: {error}"))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if any(
            f"the server responded with a status of {status} " in message.text for status in self.expected
        ):
            return
        self.problems.append(f"{self.page.url}: {message.type}: {message.text}")

    def axe(self, where: str = "") -> None:
        """Assert that axe finds nothing on the page as it is now."""
        results = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": AXE_TAGS}})
        assert results.violations_count == 0, f"{where or self.page.url}\n{results.generate_report()}"

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=True)


@contextmanager
def visitor(browser: Browser, language: str, **options: Any) -> Iterator[Visitor]:
    """A fresh browser profile in that language; at the end nothing may have gone wrong in it."""
    context = browser.new_context(locale=language, viewport={"width": 1280, "height": 900}, **options)
    context.set_default_timeout(15_000)
    try:
        one = Visitor(context.new_page(), language)
        one.watch()
        yield one
        assert one.problems == [], "\n".join(one.problems)
    finally:
        context.close()
