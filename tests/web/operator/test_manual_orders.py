"""Manual orders, tried by the operator, a customer, a teammate, a stranger and nobody."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.manual_order import ManualOrderState
from portal.models.authority import ManualOrder
from portal.models.history import AuditEntry
from portal.services import ca_accounts, manual_orders
from portal.services.acting import Actor
from tests.browser import visitor
from tests.services.manual import carried

PAGE_WIDTHS = (1280, 360)


@pytest.fixture
def case(factory, cast, now):
    factory.contact(cast.organisation)
    applicant = {"organisation": "Acme (Shanghai) Co., Ltd.", "phone": "+86 21 5555 0100", "odd": "kept"}
    return carried(factory, cast, now, applicant=applicant)


@pytest.fixture
def page(case) -> str:
    return f"/operator/manual-orders/{case.order_id}"


@pytest.fixture
def posts(case, page) -> dict[str, dict[str, str]]:
    """Every act, with what it needs."""
    return {
        f"{page}/reference": {"reference": "CFCA-77"},
        f"{page}/certificate": {"certificate": case.answer().fullchain_pem},
        f"{page}/refusal": {"words": "执照已过期"},
    }


def state_of(case) -> ManualOrderState:
    case.session.expire_all()
    return case.session.get_one(ManualOrder, case.order_id).state


def test_the_operator_sees_what_to_carry_and_until_when(client, cast, case, page):
    client.log_in(cast.olga)
    for path in ("/operator", "/operator/manual-orders"):
        text = client.get(path).text
        assert page in text
        assert case.account.name in text
    text = client.get(page).text
    for word in ("pay.example.com", "Acme (Shanghai)", "+86 21 5555 0100", "odd", "ops@example.com"):
        assert word in text
    assert f"{case.renewal.predecessor.not_after:%Y-%m-%d}" in text


def test_the_dashboard_says_nothing_of_manual_orders_where_there_are_none(client, cast):
    client.log_in(cast.olga)
    assert 'id="manual-orders"' not in client.get("/operator").text
    assert client.get("/operator/manual-orders").status_code == 200


def test_the_request_is_downloaded_as_it_is(client, cast, case, page):
    client.log_in(cast.olga)
    answer = client.get(f"{page}/request.csr")
    assert (answer.content_type, answer.text) == ("application/pkcs10", case.renewal.csr_pem)
    assert answer.headers["Content-Disposition"] == "attachment; filename=pay.example.com.csr"


def test_a_pasted_certificate_is_taken_over(client, cast, case, page, posts, session):
    client.log_in(cast.olga)
    for act in ("reference", "certificate"):
        path = f"{page}/{act}"
        answer = client.post(path, data=posts[path])
        assert (answer.status_code, answer.headers["Location"]) == (303, page)
    assert state_of(case) is ManualOrderState.ISSUED
    text = client.get(page).text
    assert "CFCA-77" in text
    assert "<textarea" not in text
    assert page in client.get("/operator/manual-orders").text


@pytest.mark.parametrize("htmx", [False, True])
def test_a_wrong_certificate_is_refused_in_words_and_what_was_pasted_is_kept(client, cast, case, page, htmx):
    client.log_in(cast.olga)
    wrong = case.answer(key_number=8).fullchain_pem
    answer = client.post(f"{page}/certificate", data={"certificate": wrong}, htmx=htmx)
    assert answer.status_code == 422
    kept = re.search(r"<textarea[^>]*name=\"certificate\"[^>]*>\s*(.*?)</textarea>", answer.text, re.DOTALL)
    assert kept is not None
    assert kept[1].replace("\r\n", "\n").strip() == wrong.strip()
    assert "form-error" in answer.text
    assert answer.text.lstrip().startswith("<form") is htmx
    assert state_of(case) is ManualOrderState.UNDER_REVIEW


@pytest.mark.parametrize(("act", "field"), [("certificate", "certificate"), ("refusal", "words")])
def test_an_empty_form_is_shown_again(client, cast, case, page, act, field):
    client.log_in(cast.olga)
    answer = client.post(f"{page}/{act}", data={field: " "})
    assert answer.status_code == 422
    assert "form-error" in answer.text
    assert state_of(case) is ManualOrderState.UNDER_REVIEW


def test_a_reason_that_is_too_long_is_kept_and_shown_again(client, cast, case, page):
    client.log_in(cast.olga)
    answer = client.post(f"{page}/refusal", data={"words": "x" * 301})
    assert answer.status_code == 422
    assert "x" * 301 in answer.text


def test_a_refusal_is_shown_with_its_reason(client, cast, case, page, posts):
    client.log_in(cast.olga)
    assert client.post(f"{page}/refusal", data=posts[f"{page}/refusal"]).status_code == 303
    assert "执照已过期" in client.get(page).text


def test_what_is_finished_cannot_be_finished_again(client, cast, case, page, posts, now):
    manual_orders.refuse(case.order_id, "no", Actor(cast.olga.id, ""), now)
    client.log_in(cast.olga)
    for path, data in posts.items():
        assert client.post(path, data=data).status_code == 422, path


@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_nobody_else_knows_of_it(client, cast, case, page, posts, who):
    client.log_in(getattr(cast, who))
    for path in ("/operator/manual-orders", page, f"{page}/request.csr"):
        assert client.get(path).status_code == 404, path
    for path, data in posts.items():
        assert client.post(path, data=data).status_code == 404, path
    assert state_of(case) is ManualOrderState.UNDER_REVIEW


def test_somebody_logged_out_logs_in_first(client, case, page, posts):
    for path in ("/operator/manual-orders", page, f"{page}/request.csr"):
        assert client.get(path).headers["Location"].startswith("/login"), path
    for path, data in posts.items():
        assert client.post(path, data=data).headers["Location"].startswith("/login"), path
    assert state_of(case) is ManualOrderState.UNDER_REVIEW


def test_acts_need_the_token_of_the_page(client, cast, case, posts, session):
    client.log_in(cast.olga)
    for path, data in posts.items():
        assert client.post(path, data=data, csrf=False).status_code == 400, path
    audited = [one.action for one in session.scalars(select(AuditEntry))]
    assert not [one for one in audited if one.startswith("manual")]


def test_an_order_that_nobody_has_to_carry_is_not_found(client, cast, factory):
    url = ca_accounts.connect(factory.ca_account(kind="manual")).new_order(("a.example.com",)).url
    client.log_in(cast.olga)
    for order_id in (url.rpartition(":")[2], "0" * 32):
        assert client.get(f"/operator/manual-orders/{order_id}").status_code == 404
        assert client.get(f"/operator/manual-orders/{order_id}/request.csr").status_code == 404


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_the_customer_sees_the_renewal_under_review_and_what_is_awaited(client, cast, case, who):
    getattr(cast, who).locale = "en"
    case.session.commit()
    client.log_in(getattr(cast, who))
    text = client.get(f"/certificates/{case.renewal.predecessor_id}").text
    for word in ("Under review", "The CA is reviewing the request", "Organisation documents", "Needed by"):
        assert word in text
    assert "Being issued" not in text
    for path in ("/", "/certificates", "/hosting", "/overview/in-flight"):
        assert "Under review" in client.get(path).text, path


def test_a_stranger_does_not_see_it(client, cast, case):
    client.log_in(cast.charlie)
    assert client.get(f"/certificates/{case.renewal.predecessor_id}").status_code == 404


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_an_operator_carries_an_order_through_a_browser(
    live_server, chromium, cast, case, page, session, language, scheme
):
    cast.olga.locale = "zh_Hans" if language == "zh-CN" else "en"
    case.renewal.predecessor.not_after -= timedelta(days=16)
    session.commit()
    with visitor(chromium, language, color_scheme=scheme) as one:
        one.expected.add(422)
        one.page.goto(f"{live_server}/login")
        one.page.fill("input[name=email]", cast.olga.email)
        one.page.fill("input[name=password]", "correct horse battery staple")
        one.page.press("input[name=password]", "Enter")
        one.page.wait_for_url(f"{live_server}/operator")
        one.axe("dashboard")
        one.page.click("#manual-orders a.title")
        one.page.wait_for_url(f"{live_server}{page}")
        for width in PAGE_WIDTHS:
            one.page.set_viewport_size({"width": width, "height": 800})
            assert one.page.evaluate("document.documentElement.scrollWidth") <= width
            one.axe(f"order, {width}")
        wrong = case.answer(key_number=8).fullchain_pem
        one.page.fill("#certificate", wrong)
        one.page.click("#certificate-form button[type=submit]")
        one.page.wait_for_selector("#certificate-form .form-error")
        assert one.page.input_value("#certificate").strip() == wrong.strip()
        one.axe("refused")
        one.page.fill("#certificate", case.answer().fullchain_pem)
        one.page.click("#certificate-form button[type=submit]")
        one.page.wait_for_selector("#certificate-form", state="detached")
        one.axe("done")
        one.page.goto(f"{live_server}/operator/manual-orders")
        one.axe("list")
    assert state_of(case) is ManualOrderState.ISSUED
