"""A customer and an operator at a browser: each step of the story as they take it, every page looked at by axe.

Nothing here reads words off a page: what is clicked is found by where it leads, so that both languages take one path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from tests.browser import Visitor
from tests.factories import PASSWORD
from tests.pki import Made
from tests.servers import MailServer, wait_until

#: Where `make screenshots` wants the pictures; unset in tests.
SCREENSHOTS = os.environ.get("PORTAL_SCREENSHOTS", "")
#: The pages worth a picture.
PICTURES = {
    *("overview", "overview-dark", "overview-narrow", "certificates", "upload", "hosting-confirm", "payment"),
    *("order-fulfilled", "certificate-renewed", "certificate-in-use", "hosting", "operator", "operator-dark"),
}
#: The narrowest screen that pages must fit.
NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
WORKERS_TIMEOUT = 40_000


class Person:
    """Somebody at a browser in front of the portal at `address`."""

    def __init__(self, visitor: Visitor, address: str) -> None:
        self.visitor = visitor
        self.page: Any = visitor.page
        self.address = address

    def look(self, name: str) -> None:
        """The page as it is now must be accessible and in the reader's language; `make screenshots` keeps it."""
        self.page.wait_for_load_state("networkidle")
        self.visitor.axe(name)
        wanted = "zh-Hans" if self.visitor.language.startswith("zh") else "en"
        assert self.page.get_attribute("html", "lang") in {wanted, wanted.partition("-")[0]}
        if SCREENSHOTS and name in PICTURES:
            self.visitor.screenshot(Path(SCREENSHOTS) / f"{wanted}-{name}.png")

    def go(self, path: str, name: str) -> None:
        answer = self.page.goto(self.address + path)
        assert answer.status == 200, (path, answer.status)
        self.look(name)

    def fill(self, form: str, **values: str) -> None:
        """Fill in the form that leads to `form` and send it."""
        where = self.page.locator(f"main form[action='{form}']")
        for name, value in values.items():
            where.locator(f"[name='{name}']").fill(value)
        where.locator("button[type=submit]").first.click()

    def set_up_operator(self, code: str, email: str) -> None:
        self.go("/setup", "setup")
        self.fill("/setup", code=code, email=email, password=PASSWORD)
        self.page.wait_for_url("**/login*")
        self.look("login")

    def sign_up(self, organisation: str, email: str, mails: MailServer) -> None:
        """Sign up, and open the link that comes by mail."""
        self.go("/signup", "signup")
        self.fill("/signup", organisation=organisation, email=email, password=PASSWORD)
        self.page.wait_for_load_state()
        self.look("check-mail")
        wait_until(lambda: mails.to(email), 20, "the confirmation mail")
        self.page.goto(link_in(mails.to(email)[0], r"/confirm/\S+"))
        self.look("confirm")
        self.page.locator("main form button[type=submit]").click()
        self.page.wait_for_url("**/login*")

    def log_in(self, email: str) -> None:
        self.go("/login", "login")
        self.fill("/login", email=email, password=PASSWORD)
        self.page.wait_for_url(re.compile(r"^(?!.*/login)"))

    def log_out(self) -> None:
        self.page.locator(".side summary").click()
        self.page.locator(".side form[action='/logout'] button").click()
        self.page.wait_for_url("**/login*")

    def upload(self, made: Made) -> str:
        """Upload, confirm what the certificate does not say; the address of its page."""
        self.go("/", "overview-empty")
        self.page.locator("main a[href='/certificates/upload']").first.click()
        self.look("upload")
        self.fill("/certificates/upload", certificate=made.fullchain_pem, key=made.key_pem)
        self.page.wait_for_url("**/specification")
        self.look("specification")
        self.page.locator("main form input[name=spec]").first.check()
        self.page.locator("main form[action$='/specification'] button[type=submit]").click()
        self.page.wait_for_url(re.compile(r"/certificates/[0-9a-f]{32}$"))
        self.look("certificate-uploaded")
        return str(self.page.url)

    def turn_on_hosting(self) -> str:
        """From the certificate's page: two clicks, then the payment page and back; the address of the order."""
        self.page.locator("main a[href^='/hosting/confirm']").first.click()
        self.look("hosting-confirm")
        self.page.locator("main form[action='/orders'] button[type=submit]").click()
        self.page.wait_for_url("**/pay?*")
        self.look("payment")
        self.page.locator("button[value=pay]").click()
        self.page.wait_for_url(re.compile(r"/orders/\d+$"))
        self.page.wait_for_selector("#order:not([hx-get])", timeout=WORKERS_TIMEOUT)
        self.look("order-fulfilled")
        return str(self.page.url)

    def watch_renewal(self, certificate_url: str) -> str:
        """The timeline moves by itself until the renewal is over; the address of the successor's page."""
        self.page.goto(certificate_url)
        self.page.wait_for_selector("#renewal [id^=timeline-]:not([hx-get])", timeout=WORKERS_TIMEOUT)
        self.look("certificate-renewed")
        self.page.locator("#renewal .trail-head a").click()
        self.page.wait_for_url(re.compile(r"/certificates/[0-9a-f]{32}$"))
        self.look("certificate-in-use")
        return str(self.page.url)

    def tour(self, paths: Sequence[tuple[str, str]]) -> None:
        """Every page in light and dark; none wider than the narrowest screen."""
        for path, name in paths:
            self.page.emulate_media(color_scheme="light")
            self.go(path, name)
            self.page.set_viewport_size(NARROW)
            self.look(f"{name}-narrow")
            width = self.page.evaluate("document.documentElement.scrollWidth")
            assert width <= NARROW["width"], f"{path} is {width} wide"
            self.page.set_viewport_size(WIDE)
            self.page.emulate_media(color_scheme="dark")
            self.go(path, f"{name}-dark")
        self.page.emulate_media(color_scheme="light")
        self.page.reload()


def link_in(mail: EmailMessage, pattern: str) -> str:
    """The first address in a mail's plain text whose path is like that."""
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(rf"http://[^/\s]+{pattern}", body.get_content())
    assert found, body.get_content()
    return found.group()
