"""Open alarms stand at the top of the operator's page, the worst first, with what to do; cleared ones are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.domain.alarms import CUSTOMER_CAN_MEND, AlarmKind
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.services import alarm_board, alarms
from portal.web.alarms import ALARMS, MENDING
from portal.web.refusals import NEXT_STEPS
from tests.browser import visitor

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def renewal(factory, cast, now):
    hosting = factory.hosting(factory.certificate(cast.organisation))
    return factory.renewal(
        hosting, state=RenewalState.VALIDATING, due=now + timedelta(days=1), started_at=now
    )


@pytest.fixture(autouse=True)
def in_english(cast, session):
    cast.olga.locale = "en"
    session.commit()


@pytest.fixture
def standing(client, factory, cast, renewal, now):
    """One of each severity, one about a renewal, one that is over."""
    raise_it = alarms.raise_alarm
    raise_it(
        AlarmKind.CA_UNAVAILABLE, now, subject_type="ca_accounts", subject_id="a", params={"name": "Busy CA"}
    )
    raise_it(
        AlarmKind.RENEWAL_LATE,
        now - timedelta(hours=5),
        subject_type="renewals",
        subject_id=renewal.id,
        rung=2,
        params={
            "name": "shop.example.com",
            "days": 7,
            "error_code": "validation_failed",
            "error_params": {"name": "shop.example.com", "said": "NXDOMAIN"},
        },
    )
    raise_it(AlarmKind.CLOCK_WRONG, now, params={"name": "one · database", "minutes_apart": 14})
    raise_it(AlarmKind.REDIS_AWAY, now - timedelta(hours=9), params={"minutes": 3})
    alarms.clear_alarm(AlarmKind.REDIS_AWAY, now - timedelta(hours=8))
    db.session.commit()


def test_the_worst_stands_first(client, cast, standing):
    board = alarm_board.read()
    assert [one.kind for one in board.open] == [
        AlarmKind.CLOCK_WRONG,
        AlarmKind.RENEWAL_LATE,
        AlarmKind.CA_UNAVAILABLE,
    ]
    assert [one.kind for one in board.cleared] == [AlarmKind.REDIS_AWAY]
    assert board.open_count == 3


def test_each_says_what_is_wrong_and_what_to_do(client, cast, renewal, standing):
    client.log_in(cast.olga)
    page = client.get("/operator").text
    top = page[page.index('id="alarms"') : page.index('id="attention"')]
    for words in ("A renewal is late", "expires in 7 days", "NXDOMAIN", "14 minutes apart", "Busy CA"):
        assert words in top
    assert f"/operator/work/renewal/{renewal.id}/retry" in top
    assert "/operator/ca-accounts" in top
    assert "Redis is away" in top[top.index("Cleared lately") :]


def test_of_very_many_the_worst_are_shown_and_all_counted(client, cast, now):
    for number in range(alarm_board.SHOWN + 5):
        alarms.raise_alarm(AlarmKind.RENEWAL_LATE, now, subject_type="renewals", subject_id=str(number))
    db.session.commit()
    client.log_in(cast.olga)
    page = client.get("/operator").text
    assert f"A renewal is late · {alarm_board.SHOWN + 5}" in page
    assert "The worst are shown." in page


def test_without_any_it_says_so(client, cast):
    client.log_in(cast.olga)
    assert "No alarm is open." in client.get("/operator").text


def test_every_kind_has_its_words():
    assert set(ALARMS) == {f"alarm_{kind.value}" for kind in AlarmKind}
    assert set(MENDING) == {f"mend_{kind.value}" for kind in AlarmKind}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_it_reads_well_in_chromium(
    live_server, chromium, cast, session, standing, width, scheme, language, tmp_path
):
    cast.olga.locale = "zh_Hans" if language == "zh-CN" else "en"
    session.commit()
    with visitor(chromium, language, color_scheme=scheme) as one:
        one.page.set_viewport_size({"width": width, "height": 900})
        one.page.goto(f"{live_server}/login")
        one.page.fill("input[name=email]", cast.olga.email)
        one.page.fill("input[name=password]", "correct horse battery staple")
        one.page.press("input[name=password]", "Enter")
        one.page.wait_for_url(f"{live_server}/operator")
        one.page.click("#alarms summary")
        one.axe("alarms")
        one.screenshot(tmp_path / f"alarms-{language}-{width}-{scheme}.png")
        assert one.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_customers_are_reminded_of_everything_that_their_pages_tell_them_to_do():
    """What a page tells a customer to mend is what the ladder of alarms reminds the customer of."""
    ours = {"spec_mismatch"} | {code for code, step in NEXT_STEPS.items() if "operator" in str(step._args)}
    assert set(NEXT_STEPS) - ours <= CUSTOMER_CAN_MEND
