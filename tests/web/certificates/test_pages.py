"""Overview, list and certificate pages: who sees them, and what they say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.hosting import HostingState
from portal.domain.renewal import RenewalState
from portal.models.deployment import Deployment
from portal.models.history import AuditEntry
from tests import pki

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def reading(certificate, renewal):
    """Every page and partial of the area that only shows."""
    return [
        "/",
        "/overview/counters",
        "/overview/in-flight",
        "/certificates",
        f"/certificates/{certificate.id}",
        f"/certificates/{certificate.id}/fullchain.pem",
        f"/renewals/{renewal.id}/timeline",
    ]


@pytest.fixture
def changing(certificate, renewal, session):
    """Every change, as (path, form)."""
    deployment = session.scalars(select(Deployment)).one()
    return [
        (f"/certificates/{certificate.id}/key", {}),
        (f"/renewals/{renewal.id}/start", {}),
        (f"/certificates/{certificate.id}/deployments/{deployment.id}/retry", {}),
        ("/certificates/upload", {"certificate": "nonsense"}),
        (f"/certificates/{certificate.id}/specification", {"spec": "dv/perennial/basic"}),
    ]


def test_the_owner_reads_and_changes(client, cast, reading, changing):
    client.log_in(cast.alice)
    assert {path: client.get(path).status_code for path in reading} == dict.fromkeys(reading, 200)
    codes = [client.post(path, data=form).status_code for path, form in changing]
    assert codes == [200, 303, 303, 422, 422]


def test_a_viewer_reads_and_changes_nothing(client, cast, reading, changing):
    client.log_in(cast.bob)
    assert {client.get(path).status_code for path in reading} == {200}
    assert {client.post(path, data=form).status_code for path, form in changing} == {403}
    assert client.get("/certificates/upload").status_code == 403


def test_a_stranger_finds_nothing(client, cast, certificate, reading, changing):
    client.log_in(cast.charlie)
    owned = [path for path in reading if len(path) > 32]
    assert {client.get(path).status_code for path in owned} == {404}
    assert certificate.names[0] not in client.get("/").text + client.get("/certificates").text
    codes = [client.post(path, data=form).status_code for path, form in changing]
    assert codes == [404, 422, 404, 422, 404] or codes == [404, 404, 404, 422, 404]


def test_an_operator_owns_nothing(client, cast, reading, changing):
    client.log_in(cast.olga)
    assert {client.get(path).status_code for path in reading} == {404}
    assert {client.post(path, data=form).status_code for path, form in changing} == {404}


def test_nobody_is_asked_to_log_in(client, reading, changing):
    answers = [client.get(path) for path in reading] + [
        client.post(path, data=form) for path, form in changing
    ]
    assert {(one.status_code, one.location.partition("?")[0]) for one in answers} == {(303, "/login")}


def test_changes_need_the_token_of_the_page(client, cast, changing):
    client.log_in(cast.alice)
    assert {client.post(path, data=form, csrf=False).status_code for path, form in changing} == {400}


def test_a_stopped_step_says_why_and_what_to_do(client, cast, renewal):
    client.log_in(cast.alice)
    text = client.get(f"/certificates/{renewal.successor_id}").text
    assert "lacks a permission" in text or "缺少部署所需的权限" in text
    assert f"/renewals/{renewal.id}/timeline" in text


def test_the_timeline_is_fetched_until_it_is_over(client, cast, renewal, session, now):
    client.log_in(cast.alice)
    path = f"/renewals/{renewal.id}/timeline"
    assert 'hx-trigger="every 2s"' in client.get(path, htmx=True).text
    renewal.state, renewal.finished_at, renewal.next_attempt_at = RenewalState.DONE, now, None
    session.commit()
    assert "hx-trigger" not in client.get(path, htmx=True).text


def test_a_hosted_certificate_has_its_renewal_beneath_it(client, cast, factory, certificate, product):
    factory.renewal(factory.hosting(certificate, product))
    client.log_in(cast.alice)
    for path in ("/certificates", "/hosting"):
        assert 'class="sub"' in client.get(path).text


def test_failed_hosting_is_shown_and_counted(client, cast, factory, certificate, product):
    factory.hosting(certificate, product, state=HostingState.FAILED)
    client.log_in(cast.alice)
    assert certificate.name in client.get("/certificates?show=attention").text
    assert "tone-bad" in client.get("/").text


@pytest.mark.parametrize(
    ("query", "found"),
    [("q=shop", True), ("q=nowhere", False), ("q=%25", False), ("show=hosted", False), ("show=expiring", True),
     ("show=history", False), ("source=uploaded", True), ("source=issued", False),
     ("show=rubbish&after=rubbish", True)],
)  # fmt: skip
def test_the_list_is_narrowed_by_its_address(client, cast, certificate, query, found):
    client.log_in(cast.alice)
    assert (certificate.id in client.get(f"/certificates?{query}").text) is found


def test_the_list_is_paged_by_key(client, cast, factory, product, now):
    for number in range(27):
        made = pki.make_certificate(
            [f"{number:02}.example.com"], now=now, expires_in=timedelta(days=20 + number // 2)
        )
        factory.certificate(cast.organisation, made)
    client.log_in(cast.alice)
    first = client.get("/certificates").text
    assert first.count('data-label="状态"') + first.count('data-label="State"') == 25
    after = first.partition("after=")[2].partition('"')[0]
    second = client.get(f"/certificates?after={after}").text
    shown = [name for name in (f"{number:02}.example.com" for number in range(27)) if name in second]
    assert shown in (["24.example.com", "26.example.com"], ["25.example.com", "26.example.com"])


def test_the_number_of_queries_does_not_grow_with_the_list(
    client, cast, factory, product, now, counted_queries
):
    def add(number):
        made = pki.make_certificate([f"{number}.example.com"], now=now, expires_in=timedelta(days=9))
        certificate = factory.certificate(cast.organisation, made)
        factory.renewal(factory.hosting(certificate, product))

    client.log_in(cast.alice)
    paths = ("/", "/certificates", "/hosting", "/hosting/add")
    add(0)
    few = [counted_queries(lambda path=path: client.get(path)) for path in paths]
    for number in range(1, 12):
        add(number)
    many = [counted_queries(lambda path=path: client.get(path)) for path in paths]
    assert many == few


def test_key_download_is_a_zip_and_audited(client, cast, certificate, session):
    client.log_in(cast.alice)
    answer = client.post(f"/certificates/{certificate.id}/key")
    assert answer.data[:2] == b"PK"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "certificate.download_key" in set(session.scalars(select(AuditEntry.action)))


def test_public_part_has_no_key_to_download(client, cast, factory, product):
    bare = factory.certificate(cast.organisation, with_key=False)
    client.log_in(cast.alice)
    assert client.post(f"/certificates/{bare.id}/key").status_code == 422
    assert f"/certificates/{bare.id}/key" not in client.get(f"/certificates/{bare.id}").text
