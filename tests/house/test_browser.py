"""The watched browser: it must see what it is there to see."""

from __future__ import annotations

import pytest
from flask import Flask

from tests import servers
from tests.browser import visitor

GOOD = '<!doctype html><html lang="en"><title>Good</title><body><main><h1>Good</h1></main></body></html>'
UNLABELLED = GOOD.replace("</main>", "<input></main>")
INLINE = GOOD.replace("</main>", '<p style="color: red">Red</p></main>')


@pytest.fixture
def site(listener):
    site = Flask("site")
    pages = {"good": GOOD, "unlabelled": UNLABELLED, "inline": INLINE}

    @site.get("/<name>")
    def show(name):
        if name not in pages:
            return ("", 204) if name == "favicon.ico" else ("Missing", 404)
        return pages[name], 200, {"Content-Security-Policy": "default-src 'self'"}

    with servers.web_server(site, listener) as address:
        yield address


def test_a_good_page_passes(chromium, site):
    with visitor(chromium, "en-US") as one:
        one.page.goto(f"{site}/good")
        one.axe()


def test_an_unlabelled_field_is_found(chromium, site):
    with visitor(chromium, "en-US") as one:
        one.page.goto(f"{site}/unlabelled")
        with pytest.raises(AssertionError, match="label"):
            one.axe()


def test_an_inline_style_is_a_csp_violation(chromium, site):
    with (
        pytest.raises(AssertionError, match=r"CSP: style-src"),
        visitor(chromium, "en-US") as one,
        one.page.expect_console_message(lambda message: message.text.startswith("CSP:")),
    ):
        one.page.goto(f"{site}/inline")


def test_a_failed_load_is_found_unless_expected(chromium, site):
    with pytest.raises(AssertionError, match="404"), visitor(chromium, "en-US") as one:
        one.page.goto(f"{site}/missing")
    with visitor(chromium, "en-US") as one:
        one.expected.add(404)
        one.page.goto(f"{site}/missing")


def test_the_outside_does_not_exist(chromium, site):
    with visitor(chromium, "en-US") as one, pytest.raises(Exception, match="ERR_NAME_NOT_RESOLVED"):
        one.page.goto("http://example.com/")
