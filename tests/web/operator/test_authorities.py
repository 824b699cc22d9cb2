"""CA accounts, tried by the operator, a customer, a teammate, a stranger and nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.models.history import AuditEntry
from portal.services import ca_buckets, ca_capacity
from tests.browser import visitor
from tests.services.capacity import Shop

PAGE = "/operator/ca-accounts"

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def shop(app, factory, cast, now) -> Shop:
    """An account with all that can be shown of one."""
    shop = Shop.open(factory, cast, now, limits="letsencrypt", max_in_flight="20")
    shop.due("www.shown.example", error_code="ca_busy", error_params={})
    ca_capacity.admit(shop.due("shop.example"), now)
    ca_buckets.move(shop.account.id, ("held", "held.example"), None, lambda _known: now + timedelta(hours=1))
    shop.set(failures=6, open_until=now + timedelta(minutes=5))
    return shop


def audited(session) -> list[tuple[str, dict[str, str]]]:
    query = select(AuditEntry.action, AuditEntry.params).where(AuditEntry.subject_type == "ca_accounts")
    return [tuple(row) for row in session.execute(query.order_by(AuditEntry.action))]


def test_the_operator_sees_how_each_account_stands(client, cast, shop):
    cast.olga.locale = "en"
    shop.factory.session.commit()
    client.log_in(cast.olga)
    text = client.get(PAGE).text
    for word in ("primary", "does not answer", "1 of 20", "299 of 300 left", "shop.example", "held.example"):
        assert word in text, word
    assert PAGE in client.get("/operator").text


def test_htmx_gets_the_accounts_alone(client, cast, shop):
    client.log_in(cast.olga)
    part = client.get(PAGE, htmx=True)
    assert part.text.lstrip().startswith('<div id="ca-accounts"')
    assert "HX-Request" in part.headers["Vary"]


def test_pausing_keeps_its_reason_and_resuming_undoes_it(client, cast, session, shop):
    client.log_in(cast.olga)
    for act, data in (("pause", {"reason": " rumours of a revocation "}), ("resume", {})):
        answer = client.post(f"{PAGE}/{shop.account.id}/{act}", data=data)
        assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
        session.expire_all()
        assert (shop.account.paused_at is not None) == (act == "pause")
        assert (f"{PAGE}/{shop.account.id}/resume" in client.get(PAGE).text) == (act == "pause")
    assert audited(session) == [
        ("ca_account.pause", {"name": "primary", "reason": "rumours of a revocation"}),
        ("ca_account.resume", {"name": "primary"}),
    ]


def test_an_account_that_is_none_is_not_found(client, cast, shop):
    client.log_in(cast.olga)
    assert client.post(f"{PAGE}/nothing/pause").status_code == 404


@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_nobody_else_knows_of_them(client, cast, session, shop, who):
    client.log_in(getattr(cast, who))
    assert client.get(PAGE).status_code == 404
    for act in ("pause", "resume"):
        assert client.post(f"{PAGE}/{shop.account.id}/{act}").status_code == 404
    assert audited(session) == []


def test_somebody_logged_out_logs_in_first(client, session, shop):
    assert client.get(PAGE).headers["Location"].startswith("/login")
    answer = client.post(f"{PAGE}/{shop.account.id}/pause")
    assert answer.headers["Location"].startswith("/login")
    assert audited(session) == []


def test_acts_need_the_token_of_the_page(client, cast, session, shop):
    client.log_in(cast.olga)
    assert client.post(f"{PAGE}/{shop.account.id}/pause", csrf=False).status_code == 400
    assert audited(session) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_an_account_is_paused_in_a_browser_and_axe_finds_nothing(
    live_server, chromium, cast, session, shop, language, scheme
):
    cast.olga.locale = "zh_Hans" if language == "zh-CN" else "en"
    session.commit()
    with visitor(chromium, language, color_scheme=scheme) as one:
        page = one.page
        page.goto(f"{live_server}/login?next={PAGE}")
        page.fill("input[name=email]", cast.olga.email)
        page.fill("input[name=password]", "correct horse battery staple")
        page.press("input[name=password]", "Enter")
        page.wait_for_url(f"{live_server}{PAGE}")
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 900})
            one.axe(f"accounts, {width}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        page.click(f"[data-dialog='#pause-{shop.account.id}']")
        one.axe("dialog")
        page.fill("dialog[open] input[name=reason]", "maintenance")
        page.click("dialog[open] button[type=submit]")
        page.wait_for_selector(f"form[action$='/{shop.account.id}/resume']")
        one.axe("paused")
