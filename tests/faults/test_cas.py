"""Renewals over ACME, with the CA away, busy, forgetful, strict: faults 14 to 17, and what pebble can be set to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from portal.adapters.ca.ari import certificate_id
from portal.domain.alarms import AlarmKind
from portal.domain.due import DueReason
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.services import renewal_windows
from tests.acme_proxy import Answer, Rule, problem
from tests.adapters.ca.acme_faults import on, once
from tests.ari_front import AriFront, ari_front
from tests.factories import Cast, Factory
from tests.faults.acme_line import EASY, Line, open_alarms
from tests.pebble import Pebble, pebble

EAB = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[Pebble]:
    with pebble(environment=EASY, blocklist=["b.test"]) as running:
        yield running


@pytest.fixture
def front(server: Pebble) -> Iterator[AriFront]:
    with ari_front(server.directory_url) as running:
        yield running


@pytest.fixture
def line(factory: Factory, cast: Cast, server: Pebble, front: AriFront, now: datetime) -> Iterator[Line]:
    """At its end all promises are checked."""
    before = len(server.issued())
    line = Line(factory, cast, now, front.proxy.directory_url, front.proxy.ca_bundle, front.proxy)
    yield line
    line.check_promises(server.issued()[before:])


def some_name() -> str:
    return f"n{next(_NUMBERS)}.example.com"


def named(renewal: Renewal) -> str:
    name = certificate_id(renewal_windows._leaf(renewal.predecessor))
    assert name is not None
    return name


@pytest.mark.parametrize(
    "away", [problem("serverInternal", 503), Answer(502, b"<html>bad gateway</html>"), Answer(drops=True)]
)
def test_a_ca_that_is_away_for_five_days_is_waited_for(line: Line, server: Pebble, away: Answer) -> None:
    """Fault 14: pauses of at most a day, one alarm, one certificate when it is back."""
    account, before = line.account(), len(server.issued())
    renewal, back = line.due(account, some_name()), line.now + timedelta(days=5)
    assert line.proxy is not None
    line.proxy.rule = lambda _request: away
    row = line.run(renewal, until=lambda _row: line.now >= back)
    assert row.error_code in {"ca_unavailable", "ca_circuit_open"}
    assert open_alarms() >= {AlarmKind.CA_UNAVAILABLE}
    line.proxy.rule = lambda _request: None
    line.finish(renewal)
    gaps = [later - earlier for earlier, later in itertools.pairwise(line.tries)]
    assert max(gaps) <= timedelta(days=1, minutes=2)
    assert AlarmKind.CA_UNAVAILABLE not in open_alarms()
    assert len(server.issued()) == before + 1


def test_a_ca_that_goes_away_halfway_issues_once(line: Line, server: Pebble) -> None:
    before = len(server.issued())
    renewal = line.due(line.account(), some_name())
    assert line.proxy is not None
    line.proxy.rule = on("/my-order/", problem("serverInternal", 503))
    line.run(renewal, until=lambda row: row.attempts >= 3)
    line.proxy.rule = lambda _request: None
    line.proxy.spoil = once(on("/finalize-order/", Answer(drops=True)))
    line.finish(renewal)
    assert len(server.issued()) == before + 1


def test_a_busy_account_waits_as_long_as_it_was_told_while_others_go_on(line: Line) -> None:
    """Fault 15."""
    busy, other = line.account("busy"), line.account("other")
    renewal, its_neighbour, elsewhere = (line.due(one, some_name()) for one in (busy, busy, other))
    assert line.proxy is not None
    line.proxy.rule = once(
        on("/order-plz", problem("rateLimited", 429, "too many new orders", Retry_After="3600"))
    )
    told = line.now
    row = line.step(renewal)
    assert (row.state, row.error_code) == (RenewalState.KEYED, "ca_rate_limited")
    assert row.next_attempt_at is not None
    assert timedelta(minutes=59) <= row.next_attempt_at - told <= timedelta(minutes=62)
    row = line.step(its_neighbour)
    assert (row.state, row.error_code, row.attempts) == (RenewalState.KEYED, "ca_rate_limited", 0)
    assert open_alarms() == {AlarmKind.CA_RATE_LIMITED}
    line.finish(elsewhere)
    for one in (renewal, its_neighbour):
        line.finish(one)
        assert line.now >= told + timedelta(minutes=59)
    assert open_alarms() == set()


def test_a_name_that_the_ca_has_paused_holds_no_other_name(line: Line) -> None:
    """Fault 15."""
    account = line.account()
    paused, other = line.due(account, "www.paused.example"), line.due(account, some_name())
    said = "Your account is temporarily prevented from requesting certificates for www.paused.example."
    refusal = problem("rateLimited", 429, said, Retry_After="3600")
    assert line.proxy is not None

    def rule(request: object) -> Answer | None:
        return refusal if "www.paused.example" in str(getattr(request, "payload", "")) else None

    line.proxy.rule = rule
    assert line.step(paused).error_code == "ca_rate_limited"
    line.finish(other)
    again = line.due(account, "www.paused.example")
    assert line.step(again).error_code == "ca_rate_limited"
    assert line.row(again).attempts == 0
    line.proxy.rule = lambda _request: None
    line.finish(paused)


@pytest.mark.databases("sqlite")
def test_nine_refused_nonces_in_ten_delay_nothing(factory: Factory, cast: Cast, now: datetime) -> None:
    """Fault 16."""
    with pebble(nonce_reject=90, environment=EASY) as server:
        line = Line(factory, cast, now, server.directory_url, server.ca_bundle)
        line.finish(line.due(line.account(), some_name()))
        line.check_promises(server.issued())


@pytest.mark.parametrize("at", [RenewalState.WAITING, RenewalState.VALIDATING, RenewalState.FINALIZING])
def test_a_ca_that_lost_its_state_gets_a_new_account_and_a_new_order(
    factory: Factory, cast: Cast, now: datetime, at: RenewalState
) -> None:
    """Fault 17: the same key, one certificate, and the operators are told."""
    with pebble(environment=EASY) as server, ari_front(server.directory_url) as front:
        line = Line(factory, cast, now, front.proxy.directory_url, front.proxy.ca_bundle, front.proxy)
        account = line.account()
        renewal = line.due(account, some_name())
        if at is not RenewalState.WAITING:
            paths = {RenewalState.VALIDATING: "/my-order/", RenewalState.FINALIZING: "/finalize-order/"}
            busy: Rule = on(paths[at], problem("serverInternal", 503))
            front.proxy.rule = busy
            line.run(renewal, until=lambda row: row.attempts >= 1)
            front.proxy.rule = lambda _request: None
        server.restart()
        key = line.row(renewal).csr_pem
        row = line.run(renewal, until=lambda row: row.error_code == "ca_account_gone")
        assert open_alarms() >= {AlarmKind.CA_ACCOUNT_LOST}
        assert db.session.get_one(CaAccount, account.id).account_url is None
        row = line.finish(renewal)
        assert key is None or row.csr_pem == key
        assert AlarmKind.CA_ACCOUNT_LOST not in open_alarms()
        line.check_promises(server.issued())


def test_a_name_that_the_ca_never_takes_stops_for_a_person_with_the_name(line: Line) -> None:
    row = line.step(line.due(line.account(), "b.test"))
    assert (row.state, row.error_code) == (RenewalState.KEYED, "ca_refused")
    assert row.stopped_at is not None
    assert "b.test" in str(row.error_params)


@pytest.mark.databases("sqlite")
def test_an_account_that_must_be_bound_renews(factory: Factory, cast: Cast, now: datetime) -> None:
    with pebble(environment=EASY, eab=EAB) as server:
        line = Line(factory, cast, now, server.directory_url, server.ca_bundle)
        account = line.account(secrets={"eab_hmac": EAB["kid-1"]}, eab_kid="kid-1")
        line.finish(line.due(account, some_name()))
        line.check_promises(server.issued())


@pytest.mark.parametrize("verdict", [None, "alreadyReplaced", "malformed"])
def test_the_ca_is_told_what_is_replaced_and_may_refuse_it(
    line: Line, front: AriFront, verdict: str | None
) -> None:
    front.verdict = verdict
    renewal = line.due(line.account(), some_name())
    line.finish(renewal)
    assert front.replaced == ([named(renewal)] if verdict is None else [])


def test_a_window_that_moves_to_now_is_followed_at_once(line: Line, front: AriFront) -> None:
    """Fault 20."""
    renewal = line.due(line.account(), some_name())
    renewal.next_attempt_at = line.now + timedelta(days=20)
    db.session.commit()
    front.windows[named(renewal)] = (line.now - timedelta(days=2), line.now - timedelta(days=1))
    renewal_windows.look(renewal.hosting, line.now)
    assert line.finish(renewal).due_reason is DueReason.ARI
    assert front.replaced == [named(renewal)]


def test_orders_that_name_their_predecessor_use_up_nothing(line: Line) -> None:
    """And those of a stranger's certificate do, since they may not name it."""
    limit = {"name": "orders", "counts": "account", "event": "order", "capacity": 1, "seconds": 36_000}
    account = line.account(limits=[limit | {"spares_replacements": True}])
    for _ in range(3):
        line.finish(line.due(account, some_name()))
    uploaded = [line.due(account, some_name()) for _ in range(2)]
    for one in uploaded:
        one.predecessor.ca_account_id = None
    db.session.commit()
    line.finish(uploaded[0])
    row = line.step(uploaded[1])
    assert (row.error_code, row.attempts, row.stopped_at) == ("ca_rate_limited", 0, None)
