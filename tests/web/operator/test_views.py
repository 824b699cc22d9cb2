"""运维, tried by the operator, a customer, a teammate, a stranger and nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.domain.renewal import RenewalState
from portal.models.catalogue import CaAccount
from portal.models.history import AuditEntry
from portal.models.hosting import Renewal
from portal.queue import JobName, QueueName
from tests.browser import visitor
from tests.failures import failed_job

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def renewal(factory, cast, now) -> Renewal:
    hosting = factory.hosting(factory.certificate(cast.organisation))
    return factory.renewal(
        hosting,
        state=RenewalState.VALIDATING,
        due=now + timedelta(days=1),
        started_at=now,
        stopped_at=now,
        error_code="ca_refused",
        error_params={},
        attempts=1,
    )


@pytest.fixture
def job_id(app, renewal) -> str:
    return failed_job(JobName.ADVANCE_RENEWALS.value, [renewal.id], QueueName.RENEWAL)


@pytest.fixture
def acts(factory, renewal, job_id) -> list[str]:
    """Every act that an operator has."""
    account = factory.ca_account()
    return [
        f"/operator/work/renewal/{renewal.id}/retry",
        f"/operator/authorities/{account.id}/pause",
        f"/operator/authorities/{account.id}/resume",
        f"/operator/jobs/{job_id}/retry",
        "/operator/jobs/retry",
        f"/operator/jobs/{failed_job('os.system', ['true'], QueueName.NOTICE)}/remove",
    ]


def acts_audited(session) -> int:
    kinds = ("renewal.try_now", "ca_account.pause", "ca_account.resume", "job.retry", "job.remove")
    return session.scalar(select(func.count()).select_from(AuditEntry).where(AuditEntry.action.in_(kinds)))


def test_the_operator_sees_the_whole_installation(client, cast, renewal, job_id):
    client.log_in(cast.olga)
    page = client.get("/operator")
    assert page.status_code == 200
    for word in (renewal.predecessor.name, "ConnectionError", 'hx-trigger="every 5s"'):
        assert word in page.text
    assert "hunter2" not in page.text


def test_htmx_gets_the_dashboard_alone(client, cast, renewal):
    client.log_in(cast.olga)
    part = client.get("/operator", htmx=True)
    assert part.text.lstrip().startswith('<div id="dashboard"')
    assert "HX-Request" in part.headers["Vary"]


def test_a_failed_job_has_a_page_with_a_redacted_traceback(client, cast, renewal, job_id):
    client.log_in(cast.olga)
    page = client.get(f"/operator/jobs/{job_id}")
    assert renewal.predecessor.name in page.text
    assert "portal/services/operations.py" in page.text
    assert "hunter2" not in page.text
    assert "/srv/somewhere" not in page.text
    assert client.get("/operator/jobs/unknown").status_code == 404


def test_every_act_leads_back_and_is_audited(client, cast, session, acts):
    client.log_in(cast.olga)
    for path in acts:
        answer = client.post(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/operator"), path
    assert acts_audited(session) == len(acts) - 1  # the one failed job had gone back already


@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_nobody_else_knows_of_it(client, cast, session, acts, job_id, who):
    client.log_in(getattr(cast, who))
    assert client.get("/operator").status_code == 404
    assert client.get(f"/operator/jobs/{job_id}").status_code == 404
    for path in acts:
        assert client.post(path).status_code == 404, path
    assert acts_audited(session) == 0


def test_somebody_logged_out_logs_in_first(client, session, acts):
    assert client.get("/operator").headers["Location"].startswith("/login")
    for path in acts:
        answer = client.post(path)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/login")
    assert acts_audited(session) == 0


def test_acts_need_the_token_of_the_page(client, cast, session, acts):
    client.log_in(cast.olga)
    for path in acts:
        assert client.post(path, csrf=False).status_code == 400
    assert acts_audited(session) == 0


def test_what_cannot_be_done_says_so(client, cast, factory, acts):
    client.log_in(cast.olga)
    order = factory.order(
        cast.organisation, cast.alice, [factory.certificate(cast.organisation, names=("b.example",))]
    )
    assert client.post(f"/operator/work/order/{order.id}/retry").status_code == 422
    assert client.post(f"/operator/work/users/{cast.alice.id}/retry").status_code == 404
    assert client.post("/operator/authorities/nothing/pause").status_code == 404


class TestWithoutRedis:
    @pytest.fixture
    def overrides(self):
        return {"redis_url": "unix:///nowhere/redis.sock"}

    def test_the_database_is_still_shown(self, client, cast, renewal, session):
        client.log_in(cast.olga)
        page = client.get("/operator")
        assert page.status_code == 200
        assert renewal.predecessor.name in page.text
        assert "Redis" in page.text
        assert client.post("/operator/jobs/retry").status_code == 422

    def test_work_can_still_be_made_due(self, client, cast, renewal, session, now):
        client.log_in(cast.olga)
        assert client.post(f"/operator/work/renewal/{renewal.id}/retry").status_code == 303
        session.expire_all()
        assert session.get_one(Renewal, renewal.id).next_attempt_at < now + timedelta(hours=1)


def test_a_paused_ca_is_shown_paused(client, cast, factory, session):
    account = factory.ca_account()
    client.log_in(cast.olga)
    client.post(f"/operator/authorities/{account.id}/pause")
    session.expire_all()
    assert session.get_one(CaAccount, account.id).paused_at is not None
    assert f"/operator/authorities/{account.id}/resume" in client.get("/operator").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_the_page_renews_itself_and_axe_finds_nothing(
    live_server, chromium, cast, session, job_id, language, scheme
):
    cast.olga.locale = "zh_Hans" if language == "zh-CN" else "en"
    session.commit()
    with visitor(chromium, language, color_scheme=scheme) as one:
        one.page.goto(f"{live_server}/login")
        one.page.fill("input[name=email]", cast.olga.email)
        one.page.fill("input[name=password]", "correct horse battery staple")
        one.page.press("input[name=password]", "Enter")
        one.page.wait_for_url(f"{live_server}/operator")
        one.axe("dashboard")
        with one.page.expect_response(lambda answer: answer.url.endswith("/operator"), timeout=10_000):
            pass
        one.page.wait_for_selector("#dashboard")
        one.page.click("#failed a.title")
        one.axe("job")
