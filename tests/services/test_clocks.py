"""A second source of time: whoever's clock is wrong orders nothing and starts nothing new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.adapters.errors import AdapterError
from portal.domain.alarms import AlarmKind
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.models.notice import Notice
from portal.services import alarms, clocks
from tests.factories import Cast, Factory
from tests.pebble import pebble
from tests.stories.hosted_story import add_ca

OFF = [timedelta(days=days) for days in (-40, -1, 1, 40)]


@pytest.fixture
def overrides() -> dict[str, Any]:
    return {"clock_tolerance": 600.0}


@pytest.fixture
def present() -> datetime:
    return datetime.now(UTC)


class CaWithClock:
    """A CA of which only the clock is asked."""

    def __init__(self, at: datetime | None) -> None:
        self.at = at

    def server_time(self) -> datetime | None:
        return self.at


@pytest.fixture
def account(factory: Factory) -> CaAccount:
    return factory.ca_account()


def open_alarms() -> list[Alarm]:
    db.session.expire_all()
    query = select(Alarm).where(Alarm.kind == AlarmKind.CLOCK_WRONG, Alarm.cleared_at.is_(None))
    return list(db.session.scalars(query))


def refused(account: CaAccount, ca: Any, now: datetime) -> bool:
    try:
        clocks.check(account, ca, now)
    except AdapterError as error:
        assert (error.code, error.permanent) == ("clock_wrong", False)
        return True
    return False


@pytest.mark.parametrize("off", OFF)
def test_a_ca_whose_clock_disagrees_is_not_asked_for_anything(
    account: CaAccount, cast: Cast, present: datetime, off: timedelta
) -> None:
    assert refused(account, CaWithClock(present + off), present)
    (alarm,) = open_alarms()
    assert alarm.params["minutes_apart"] == abs(off).days * 24 * 60
    assert not refused(account, CaWithClock(present + timedelta(minutes=9)), present)
    assert open_alarms() == []


def test_a_ca_without_a_clock_says_nothing(account: CaAccount, cast: Cast, present: datetime) -> None:
    assert not refused(account, CaWithClock(None), present)


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("off", OFF)
def test_the_clock_of_the_database_decides_whether_what_waits_is_started(
    account: CaAccount, cast: Cast, present: datetime, off: timedelta
) -> None:
    assert clocks.database_disagrees(present + off)
    assert len(open_alarms()) == 1
    assert refused(account, CaWithClock(present + off), present + off)
    assert not clocks.database_disagrees(present)
    assert open_alarms() == []


@pytest.mark.databases("postgresql")
def test_one_look_is_believed_for_half_a_minute(
    core_app: Flask, present: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not clocks.database_disagrees(present)
    looked = core_app.extensions["database_clock"]
    clocks.database_disagrees(present + timedelta(seconds=5))
    assert core_app.extensions["database_clock"] is looked
    clocks.database_disagrees(present + timedelta(seconds=40))
    assert core_app.extensions["database_clock"] is not looked


@pytest.mark.databases("sqlite")
def test_sqlite_has_no_clock_of_its_own(core_app: Flask, present: datetime) -> None:
    assert not clocks.database_disagrees(present + timedelta(days=40))


class TestRecovering:
    """What a clock that was ahead put off is made due again."""

    @pytest.fixture
    def renewal(self, factory: Factory, cast: Cast, now: datetime) -> Renewal:
        hosting = factory.hosting(factory.certificate(cast.organisation))
        return factory.renewal(
            hosting, state=RenewalState.ORDERED, due=now + timedelta(days=40), started_at=now
        )

    def due(self, renewal: Renewal) -> datetime | None:
        db.session.expire_all()
        return db.session.get_one(Renewal, renewal.id).next_attempt_at

    def test_a_step_put_off_beyond_any_wait_is_due_now(self, renewal: Renewal, now: datetime) -> None:
        assert clocks.recover(now) == 1
        assert self.due(renewal) == now

    def test_one_that_failed_for_the_clock_is_due_sooner(self, renewal: Renewal, now: datetime) -> None:
        tolerance = timedelta(minutes=10)
        renewal.error_code, renewal.next_attempt_at = "clock_wrong", now + tolerance
        db.session.commit()
        assert clocks.recover(now) == 0
        assert clocks.recover(now - timedelta(seconds=1)) == 1
        assert self.due(renewal) == now - timedelta(seconds=1)

    def test_so_is_one_that_failed_otherwise_under_that_clock(self, renewal: Renewal, now: datetime) -> None:
        renewal.error_code = "ca_unavailable"
        db.session.commit()
        assert clocks.recover(now) == 1

    def test_mail_that_failed_is_not_put_off_for_weeks(
        self, core_app: Flask, cast: Cast, now: datetime
    ) -> None:
        alarms.raise_at_once(AlarmKind.MANUAL_ORDER, now)
        late = {"next_attempt_at": now + timedelta(days=40), "error_code": "mail_unavailable"}
        db.session.execute(update(Notice).values(**late))
        db.session.commit()
        assert clocks.recover(now) == 1
        assert db.session.scalars(select(Notice.next_attempt_at)).all() == [now]

    @pytest.mark.parametrize(
        "columns",
        [
            {"error_code": "ca_rate_limited", "next_attempt_at": 7},
            {"started_at": None, "state": RenewalState.WAITING},
            {"next_attempt_at": None, "state": RenewalState.DONE},
        ],
    )
    def test_what_waits_for_a_reason_goes_on_waiting(
        self, renewal: Renewal, now: datetime, columns: dict[str, Any]
    ) -> None:
        for name, value in columns.items():
            setattr(renewal, name, now + timedelta(days=value) if isinstance(value, int) else value)
        db.session.commit()
        before = self.due(renewal)
        assert clocks.recover(now) == 0
        assert self.due(renewal) == before


@pytest.mark.databases("sqlite")
class TestStartingOnOneMachine:
    """The CA is the only other clock: nothing that waits is started by ours alone."""

    @pytest.fixture
    def acme(self, core_app: Flask, cast: Cast) -> Iterator[CaAccount]:
        with pebble() as one:
            yield add_ca(one, datetime.now(UTC), one.directory_url)

    @pytest.mark.parametrize("off", OFF)
    def test_nothing_is_started_while_they_disagree_and_all_is_due_again_afterwards(
        self, acme: CaAccount, factory: Factory, cast: Cast, present: datetime, off: timedelta
    ) -> None:
        with pytest.raises(AdapterError) as refused:
            clocks.check_start(acme, present + off)
        assert (refused.value.code, refused.value.permanent) == ("clock_wrong", False)
        waiting = factory.renewal(
            factory.hosting(factory.certificate(cast.organisation)),
            due=present + timedelta(days=40),
            error_code="clock_wrong",
        )
        assert clocks.recover(present) == 1
        db.session.expire_all()
        assert db.session.get_one(Renewal, waiting.id).next_attempt_at == present
        clocks.check_start(acme, present)
        assert open_alarms() == []

    def test_a_ca_that_cannot_be_asked_holds_nobody_up(
        self, core_app: Flask, factory: Factory, present: datetime
    ) -> None:
        away = factory.ca_account(kind="acme", config={"directory_url": "http://127.0.0.1:9/dir"})
        clocks.check_start(away, present + timedelta(days=40))
