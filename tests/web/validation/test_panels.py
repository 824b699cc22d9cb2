"""The panel of domain validation: before paying, on the page of a hosted certificate, and in a browser."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal.domain.renewal import RenewalState
from portal.domain.validation import Finding, NameReport, Severity, ValidationMethod
from portal.extensions import db
from portal.models.validation import DomainValidation, HostingCheck
from portal.services import hosting_checks, validation_pages
from portal.services.driving import drive
from portal.services.validation_pages import Scope
from portal.web.validation.panels import FRESH, panel_for
from tests.browser import visitor
from tests.factories import PASSWORD
from tests.services.rehearsal import SHOP

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def english(cast):
    cast.alice.locale = cast.bob.locale = "en"
    db.session.commit()


def look(hosting, now) -> HostingCheck:
    """The worker's look."""
    query = select(HostingCheck).where(HostingCheck.subject == "validation")
    drive(hosting_checks.KIND, db.session.scalars(query).one().id, lambda: now)
    db.session.expire_all()
    return db.session.scalars(query).one()


def test_before_paying_names_are_looked_at_by_themselves_and_once(
    client, cast, english, rehearsal, certificate
):
    rehearsal.delegate_shop()
    client.log_in(cast.alice)
    page = f"/hosting/confirm?certificate={certificate.id}"
    assert 'hx-trigger="load"' in client.get(page).text
    part = client.post(f"/domain-validation/certificates/{certificate.id}/check?few=1", htmx=True)
    assert "hx-trigger" not in part.text
    for said in ("is not delegated to us yet", "You can pay now and set it up afterwards", "In order"):
        assert said in part.text
    text = client.get(page).text
    assert 'hx-trigger="load"' not in text
    assert "You can pay now and set it up afterwards" in text
    assert f"/domain-validation/names/{SHOP}" in text
    assert 'name="total"' in text


def test_an_old_look_is_made_again_before_paying(client, cast, rehearsal, certificate, now):
    rehearsal.delegate_shop()
    rehearsal.run(*certificate.names)
    db.session.execute(update(DomainValidation).values(checked_at=now - FRESH - timedelta(minutes=1)))
    db.session.commit()
    client.log_in(cast.alice)
    assert 'hx-trigger="load"' in client.get(f"/hosting/confirm?certificate={certificate.id}").text


def test_without_script_the_look_leads_back_to_the_confirmation(client, cast, certificate):
    client.log_in(cast.alice)
    page = f"/hosting/confirm?certificate={certificate.id}"
    assert f'name="next" value="{page}"' in client.get(page).text
    path = f"/domain-validation/certificates/{certificate.id}/check?few=1"
    assert client.post(path, data={"next": page}).location == page


def test_a_private_ca_is_said_to_need_nothing_before_paying(client, cast, english, factory):
    factory.price_book()
    factory.product(ca_account=factory.ca_account("private"))
    certificate = factory.certificate(cast.organisation)
    client.log_in(cast.alice)
    text = client.get(f"/hosting/confirm?certificate={certificate.id}").text
    assert "there is nothing to set up" in text
    assert "hx-trigger" not in text


def test_a_hosted_certificate_tells_how_each_name_stands(client, cast, english, rehearsal, hosting, now):
    rehearsal.delegate_shop()
    check = look(hosting, now)
    client.log_in(cast.bob)
    text = client.get(f"/certificates/{hosting.certificate_id}").text
    for said in ("leads to elsewhere.validation.test", "is not delegated to us yet", "In order", "next on"):
        assert said in text
    assert f'datetime="{check.next_attempt_at.isoformat()}"' in text
    assert "Check again" not in text
    owner = client.application.test_client()
    owner.log_in(cast.alice)
    assert "Check again" in owner.get(f"/certificates/{hosting.certificate_id}").text


def test_a_look_that_could_not_be_made_is_told(client, cast, english, rehearsal, hosting, now):
    check = look(hosting, now)
    check.error_code, check.error_params = "dns_unavailable", {}
    db.session.commit()
    client.log_in(cast.alice)
    assert "The last look could not be made" in client.get(f"/certificates/{hosting.certificate_id}").text


def test_a_renewal_that_a_finding_stops_leads_to_where_it_is_mended(client, cast, factory, hosting, now):
    stopped = {"started_at": now, "stopped_at": now, "error_params": {"name": SHOP, "record": "x"}}
    factory.renewal(hosting, state=RenewalState.STARTED, error_code="delegation_missing", **stopped)
    client.log_in(cast.alice)
    text = client.get(f"/certificates/{hosting.certificate_id}").text
    trail = text[text.index('class="trail"') : text.index("</ol>")]
    assert f'href="/domain-validation/certificates/{hosting.certificate_id}"' in trail


def test_several_looks_that_say_the_same_are_told_once(app, cast, certificate, now):
    setup = validation_pages.read(Scope(cast.organisation.id, name=SHOP), now)
    fine = [Finding(code, Severity.OK, {"name": SHOP}) for code in ("dnssec_secure", "dnssec_insecure")]
    broken = Finding("dnssec_bogus", Severity.BLOCKING, {"name": SHOP, "at": SHOP, "type": "CAA"})
    report = NameReport(SHOP, ValidationMethod.OPERATOR, (*fine, broken))
    with app.test_request_context():
        panel = panel_for(setup, [report, replace(report, name=f"*.{SHOP}")])
    assert panel.told(SHOP) == [fine[0], broken]


def log_in(page, address, user) -> None:
    page.goto(f"{address}/login")
    page.fill("input[name=email]", user.email)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{address}/")


@pytest.mark.parametrize(("language", "scheme"), [("zh-CN", "light"), ("en-US", "dark")])
def test_every_page_reads_well_in_a_browser(
    live_server, chromium, cast, rehearsal, hosting, now, language, scheme
):
    rehearsal.delegate_shop()
    look(hosting, now)
    paths = [
        "",
        f"/names/{SHOP}",
        f"/certificates/{hosting.certificate_id}",
        "/credentials",
        "/credentials/add",
    ]
    with visitor(chromium, language, color_scheme=scheme) as one:
        page = one.page
        log_in(page, live_server, cast.alice)
        for path in paths:
            page.goto(f"{live_server}/domain-validation{path}")
            for width in (1280, 360):
                page.set_viewport_size({"width": width, "height": 900})
                one.axe(f"{path}, {width}")
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)


def test_in_a_browser_one_look_shows_every_finding_and_before_paying_it_comes_by_itself(
    live_server, chromium, cast, english, rehearsal, certificate
):
    rehearsal.delegate_shop()
    with visitor(chromium, "en-US") as one:
        page = one.page
        log_in(page, live_server, cast.alice)
        page.goto(f"{live_server}/hosting/confirm?certificate={certificate.id}")
        page.get_by_text("You can pay now and set it up afterwards").wait_for()
        one.axe("confirmation")
        page.get_by_role("link", name=SHOP).click()
        page.get_by_role("button", name="Check again").click()
        page.get_by_text("leads to us").wait_for()
        page.get_by_role("button", name="Host").wait_for()
        one.axe("findings")
