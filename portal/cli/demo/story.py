"""The story: what a customer does by hand and what the installation does by itself, over HTTP and TLS throughout."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import requests

from portal.adapters import live_check
from portal.adapters.errors import AdapterError
from portal.adapters.live_check import Served
from portal.cli.demo.browser import Browser, Form, Page, UnexpectedPage
from portal.cli.demo.elsewhere import Bought
from portal.cli.demo.report import Report
from portal.cli.demo.watching import SeenRenewal, WaitedTooLong, Watch, is_over, wait_for
from portal.clock import utc_now
from portal.domain.order import OrderState
from portal.domain.renewal import RenewalState
from portal.services.seeding import Login

#: What a step may fail with and still be a step with an outcome.
TROUBLES = (UnexpectedPage, WaitedTooLong, AdapterError, requests.RequestException)

PATIENCE = 60.0
LOOPBACK = ("127.0.0.0/8",)
#: Wished for when the certificate leaves parts of its specification open.
FAVOURITES = ("dv/perennial/basic", "ov/perennial/basic", "ev/perennial/basic")


@dataclass(frozen=True)
class Places:
    """Where everything answers, and the token of the sandbox cloud."""

    portal: str
    cloud: str
    cloud_token: str
    edge: str
    mailbox: str


@dataclass(frozen=True)
class People:
    """Who plays."""

    customer: Login
    operator: Login


class Story:
    """Plays once. Each method is one step or a few, told to `report`."""

    def __init__(self, places: Places, people: People, bought: Bought, watch: Watch, report: Report) -> None:
        self._places, self._people, self._bought = places, people, bought
        self._watch, self._report = watch, report
        self._customer = Browser(places.portal, "zh-CN")
        self._mails_before = 0

    def play(self) -> None:
        """From last year's certificate to the new one being served. Raises TROUBLES; the report has the step."""
        self._mails_before = self._count_mails()
        self._find_deployed()
        self._log_in()
        certificate_id = self._upload()
        if self._watch.is_hosted(certificate_id):
            self._skip("turn hosting on", "it is on since an earlier run")
        else:
            self._pay(self._turn_on(certificate_id))
        self._renew(certificate_id)
        self._see_new()
        self._read_mails()
        self._operate()

    def _find_deployed(self) -> None:
        facts = self._bought.facts
        with self._report.step("bought elsewhere", *TROUBLES) as step:
            kind = "yours" if self._bought.is_given else "made for this demo"
            step.outcome = f"{facts.names[0]}, {kind}, expires {facts.not_after:%Y-%m-%d}"
        with self._report.step("deployed last year", *TROUBLES) as step:
            is_new = self._place_on_edge()
            step.outcome = (
                f"placed on the edge at {self._places.edge}" if is_new else "the edge has the domain already"
            )
        with self._report.step("handshake before", *TROUBLES) as step:
            self._report.before = self._shake_hands()
            step.outcome = f"serial {self._report.before.serial}"

    def _place_on_edge(self) -> bool:
        """Put the certificate on the edge unless the domain serves one; returns whether it had to."""
        url = f"{self._places.cloud}/v1/domains/{quote(self._target_domain, safe='*.')}"
        headers = {"Authorization": f"Bearer {self._places.cloud_token}"}
        seen = requests.get(url, headers=headers, timeout=10)
        if seen.status_code == 200 and seen.json()["sha256"]:
            return False
        body = {"chain": self._bought.chain_pem, "key": self._bought.key_pem}
        requests.put(url, json=body, headers=headers, timeout=10).raise_for_status()
        return True

    @property
    def _target_domain(self) -> str:
        return self._bought.target(self._places.edge).domain

    def _shake_hands(self) -> Served:
        seen = live_check.see_served(
            self._bought.host, self._places.edge, timeout=10, allowed_networks=LOOPBACK
        )
        return seen[0]

    def _log_in(self) -> None:
        with self._report.step("log in", *TROUBLES) as step:
            _enter(self._customer, self._people.customer)
            step.outcome = f"as {self._people.customer.email}"

    def _upload(self) -> str:
        """The id of the certificate that there is now to be hosted."""
        with self._report.step("upload", *TROUBLES) as step:
            form_page = self._customer.get("/certificates/upload")
            files = {
                "certificate_file": ("fullchain.pem", self._bought.chain_pem),
                "key_file": ("key.pem", self._bought.key_pem),
            }
            page = self._customer.send(form_page, form_page.form("/certificates/upload"), {}, files)
            found = self._watch.certificate_id(self._bought.facts.sha256)
            if found is None:
                raise UnexpectedPage(f"the upload was refused{page.said()}")
            step.outcome = "checked, its key sealed" if page.status == 200 else "it is here already"
            if page.path.endswith("/specification"):
                step.outcome += f"; specification confirmed: {self._confirm(page)}"
            return found

    def _confirm(self, page: Page) -> str:
        form = page.form(page.path)
        offered = form.choices.get("spec", [])
        if not offered:
            raise UnexpectedPage(f"no specification is offered{page.said()}")
        chosen = next((one for one in FAVOURITES if one in offered), offered[0])
        if (answer := self._customer.send(page, form, {"spec": chosen})).status != 200:
            raise UnexpectedPage(f"the specification was refused{answer.said()}")
        return chosen

    def _turn_on(self, certificate_id: str) -> Page:
        with self._report.step("turn hosting on", *TROUBLES) as step:
            page = self._customer.get(f"/certificates/{certificate_id}")
            if page.path.endswith("/specification") or any(
                one.endswith("/specification") for one in page.links
            ):
                self._confirm(self._customer.get(f"/certificates/{certificate_id}/specification"))
            confirmation = self._customer.get(f"/hosting/confirm?certificate={certificate_id}")
            order_form = confirmation.form("/orders")
            fen = int(dict(order_form.values)["total"])
            payment_page = self._customer.send(confirmation, order_form, {})
            step.outcome = f"ordered for CNY {fen / 100:.2f}"
            return payment_page

    def _pay(self, page: Page) -> None:
        with self._report.step("pay", *TROUBLES) as step:
            back = self._customer.send(page, page.form("/pay"), {"decision": "pay"})
            matched = re.fullmatch(r"/orders/([0-9A-Za-z]+)(/return)?", back.path)
            if matched is None:
                raise UnexpectedPage(f"the payment page led to {back.path}{back.said()}")
            number = matched.group(1)
            wait_for(
                lambda: self._watch.order(number),
                lambda state: state is OrderState.FULFILLED,
                PATIENCE,
                "the payment",
            )
            step.outcome = f"order {number} paid, hosting is on"

    def _renew(self, certificate_id: str) -> None:
        def look() -> SeenRenewal | None:
            return self._watch.renewal(certificate_id)

        with self._report.step("renewal", *TROUBLES) as step:
            seen = wait_for(look, lambda one: one is not None, PATIENCE, "a renewal")
            assert seen is not None
            was_early = self._start_early(certificate_id, seen)
            wait_for(look, lambda one: bool(one and one.successor_id), PATIENCE, "the new certificate")
            step.outcome = "started early and issued" if was_early else "due at once, issued"
        with self._report.step("redeployment", *TROUBLES) as step:
            wait_for(look, is_over, PATIENCE, "the redeployment")
            step.outcome = f"bound, read back and seen live at {self._target_domain}"

    def _start_early(self, certificate_id: str, renewal: SeenRenewal) -> bool:
        """Have a renewal that is not due yet started now, as the customer."""
        is_due = renewal.due_at is None or renewal.due_at <= utc_now()
        if is_due or renewal.state is not RenewalState.WAITING:
            return False
        page = self._customer.get(f"/certificates/{certificate_id}")
        token = next(value for form in page.forms for name, value in form.values if name == "csrf_token")
        form = Form(f"/renewals/{renewal.id}/start", "post", [("csrf_token", token)])
        if (answer := self._customer.send(page, form, {})).status != 200:
            raise UnexpectedPage(f"the renewal was not started{answer.said()}")
        return True

    def _see_new(self) -> None:
        with self._report.step("handshake after", *TROUBLES) as step:
            before = self._report.before
            self._report.after = after = wait_for(
                self._shake_hands,
                lambda seen: before is None or seen.serial != before.serial,
                10,
                "another serial",
            )
            step.outcome = f"serial {after.serial}, valid until {after.not_after:%Y-%m-%d}"

    def _read_mails(self) -> None:
        with self._report.step("mails", *TROUBLES) as step:
            wait_for(self._watch.unsent_notices, lambda count: count == 0, PATIENCE, "the mails")
            self._report.mails = self._count_mails() - self._mails_before
            if not self._report.mails:
                raise WaitedTooLong("no mail arrived")
            step.outcome = f"{self._report.mails} received, at {self._places.mailbox}"

    def _count_mails(self) -> int:
        answer = requests.get(f"{self._places.mailbox}/api/messages", timeout=10)
        return int(answer.json()["count"])

    def _operate(self) -> None:
        with self._report.step("operator's page", *TROUBLES) as step:
            operator = Browser(self._places.portal, "en")
            _enter(operator, self._people.operator)
            page = operator.get("/operator")
            if page.status != 200 or page.path != "/operator":
                raise UnexpectedPage(f"{page.path} was shown{page.said()}")
            step.outcome = f"read as {self._people.operator.email}"

    def _skip(self, name: str, why: str) -> None:
        with self._report.step(name) as step:
            step.outcome = why


def _enter(browser: Browser, login: Login) -> None:
    page = browser.get("/login")
    answer = browser.send(page, page.form("/login"), {"email": login.email, "password": login.password})
    if urlsplit(answer.url).path == "/login":
        raise UnexpectedPage(f"{login.email} was not let in{answer.said()}")
