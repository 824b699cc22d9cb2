"""Mass replacement as the operator sees it, tried by everybody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.domain.due import DueReason
from portal.domain.replacement import ReplacementState
from portal.models.authority import MassReplacement, Revocation
from portal.models.certificate import Source
from portal.models.hosting import Renewal
from portal.services import replacing
from portal.services.driving import drive
from tests.browser import visitor

pytestmark = pytest.mark.databases("sqlite")

URL = "/operator/replacements"


@pytest.fixture
def certificate(factory, cast, now):
    """Hosted, issued an hour ago by the account in trouble; another of it is not hosted."""
    account = factory.ca_account("troubled")
    factory.now = now - timedelta(hours=1)
    common = {"source": Source.ISSUED, "ca_account": account, "expires_in": timedelta(days=150)}
    made = factory.certificate(cast.organisation, **common)
    factory.certificate(cast.organisation, names=["alone.example.com"], **common)
    factory.renewal(factory.hosting(made, factory.product(ca_account=account)))
    return made


@pytest.fixture
def row(certificate, now):
    return replacing.start("troubled", now, 60, "the CA must revoke", "olga", now)


@pytest.fixture
def acts(row, certificate):
    return [
        (f"{URL}/{row.id}/pause", {}),
        (f"{URL}/{row.id}/resume", {}),
        (f"{URL}/{row.id}/cancel", {}),
        (f"{URL}/certificate", {"certificate_id": certificate.id, "note": "why"}),
        (URL, {"ca": "troubled", "per_hour": "60", "reason": "once more"}),
    ]


def form(**changed) -> dict[str, str]:
    return {
        "ca": "troubled",
        "issued_before": "",
        "per_hour": "30",
        "reason": "the CA must revoke",
        **changed,
    }


def test_the_number_is_shown_before_anything_begins(client, cast, certificate, session):
    client.log_in(cast.olga)
    assert client.get(URL).status_code == 200
    seen = client.get(f"{URL}/preview", query_string=form(), htmx=True)
    assert seen.text.lstrip().startswith('<div id="preview"')
    assert "alone.example.com" in seen.text
    assert 'name="per_hour" value="30"' in seen.text
    assert "<html" in client.get(f"{URL}/preview", query_string=form()).text
    assert session.scalar(select(func.count()).select_from(MassReplacement)) == 0


@pytest.mark.parametrize(
    "wrong", [{"per_hour": "0"}, {"reason": ""}, {"ca": "nobody"}, {"issued_before": "soon"}]
)
def test_what_is_filled_in_wrongly_comes_back(client, cast, certificate, session, wrong):
    client.log_in(cast.olga)
    assert client.get(f"{URL}/preview", query_string=form(**wrong)).status_code == 422
    assert client.post(URL, data=form(**wrong)).status_code == 422
    assert session.scalar(select(func.count()).select_from(MassReplacement)) == 0


def test_it_is_started_and_watched_and_steered(client, cast, certificate, session, now):
    client.log_in(cast.olga)
    assert client.post(URL, data=form()).headers["Location"] == URL
    row = session.scalars(select(MassReplacement)).one()
    assert (row.total, row.per_hour, row.requested_by) == (1, 30, cast.olga.id)
    part = client.get(URL, htmx=True).text
    assert part.lstrip().startswith('<div id="replacements"')
    assert 'hx-trigger="every 5s"' in part
    assert client.post(URL, data=form()).status_code == 422
    for event, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert client.post(f"{URL}/{row.id}/{event}").status_code == 303
        session.expire_all()
        assert row.state == ReplacementState(state)
    assert "hx-trigger" not in client.get(URL, htmx=True).text
    assert client.post(f"{URL}/{row.id}/resume").status_code == 422
    assert client.post(f"{URL}/{row.id}/finish").status_code == 404


def test_what_failed_is_named(client, cast, certificate, row, session, now):
    drive(replacing.KIND, row.id, lambda: now + timedelta(seconds=5))
    renewal = session.scalars(select(Renewal)).one()
    renewal.stopped_at, renewal.error_code = now, "ca_refused"
    session.commit()
    client.log_in(cast.olga)
    assert certificate.name in client.get(URL).text


def test_one_certificate_is_renewed_with_a_reason(client, cast, certificate, session):
    client.log_in(cast.olga)
    asked = {"certificate_id": certificate.id, "note": "asked by phone"}
    assert client.post(f"{URL}/certificate", data=asked).status_code == 303
    assert session.scalars(select(Renewal)).one().due_reason is DueReason.FORCED
    assert client.post(f"{URL}/certificate", data=asked | {"is_leaked": "y"}).status_code == 303
    session.expire_all()
    assert session.scalars(select(Renewal)).one().due_reason is DueReason.KEY_COMPROMISE
    assert session.scalars(select(Revocation)).one().requested_by == cast.olga.id
    assert client.post(f"{URL}/certificate", data={"certificate_id": "x", "note": "y"}).status_code == 422
    assert client.post(f"{URL}/certificate", data={"certificate_id": certificate.id}).status_code == 422


@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_nobody_else_knows_of_it(client, cast, session, acts, row, who):
    client.log_in(getattr(cast, who))
    assert {client.get(path).status_code for path in (URL, f"{URL}/preview")} == {404}
    assert {client.post(path, data=data).status_code for path, data in acts} == {404}
    session.expire_all()
    assert row.state is ReplacementState.RUNNING


def test_somebody_logged_out_logs_in_first(client, acts):
    answers = [client.get(URL), *(client.post(path, data=data) for path, data in acts)]
    assert {one.location.partition("?")[0] for one in answers} == {"/login"}


def test_acts_need_the_token_of_the_page(client, cast, acts, session, row):
    client.log_in(cast.olga)
    assert {client.post(path, data=data, csrf=False).status_code for path, data in acts} == {400}


@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_the_page_counts_renews_itself_and_axe_finds_nothing(
    live_server, chromium, cast, session, certificate, language
):
    cast.olga.locale = "zh_Hans" if language == "zh-CN" else "en"
    session.commit()
    with visitor(chromium, language) as one:
        one.page.goto(live_server + URL)
        one.page.fill("input[name=email]", cast.olga.email)
        one.page.fill("input[name=password]", "correct horse battery staple")
        one.page.press("input[name=password]", "Enter")
        one.page.wait_for_url(live_server + URL)
        one.page.fill("input[name=per_hour]", "30")
        one.page.fill("input[name=reason]", "the CA must revoke")
        one.page.click("form[method=get] button[type=submit]")
        one.page.wait_for_selector("#preview form")
        one.axe("preview")
        one.page.click("#preview form button")
        one.page.wait_for_selector("#replacements progress")
        one.axe("progress")
        with one.page.expect_response(lambda answer: answer.url.endswith(URL), timeout=10_000):
            pass
