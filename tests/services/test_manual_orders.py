"""Operators carry orders to CAs."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.domain.errors import DomainError
from portal.domain.manual_order import ManualOrderState
from portal.domain.spec import ValidationType
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.authority import ManualOrder
from portal.models.history import AuditEntry, HistoryEntry
from portal.services import ca_accounts, manual_order_pages, manual_orders
from portal.services.acting import Actor
from tests import pki
from tests.factories import Cast, Factory
from tests.services.manual import Carried, carried

Db = scoped_session[Session]


@pytest.fixture
def case(factory: Factory, cast: Cast, now: datetime) -> Carried:
    return carried(factory, cast, now)


@pytest.fixture
def olga(cast: Cast) -> Actor:
    return Actor(cast.olga.id, "", "127.0.0.1")


def state_of(case: Carried) -> ManualOrderState:
    case.session.expire_all()
    return case.session.get_one(ManualOrder, case.order_id).state


def audited(session: Db) -> list[str]:
    return [one.action for one in session.scalars(select(AuditEntry)) if one.action.startswith("manual")]


def test_a_pasted_certificate_is_what_the_ca_hands_out(case: Carried, olga: Actor, now: datetime) -> None:
    made = case.answer()
    manual_orders.paste(case.order_id, made.fullchain_pem, " CFCA-77 ", olga, now)
    ca = ca_accounts.connect(case.account)
    assert case.renewal.order_url is not None
    assert ca.download(case.renewal.order_url, case.renewal.csr_pem or "") == made.fullchain_pem
    order = manual_orders.get(case.order_id)
    assert (order.state, order.reference, order.handled_by, order.finished_at) == (
        ManualOrderState.ISSUED,
        "CFCA-77",
        olga.id,
        now,
    )


def test_pasting_wakes_the_renewal_clears_the_alarm_and_is_audited(
    case: Carried, olga: Actor, now: datetime, session: Db
) -> None:
    manual_orders.paste(case.order_id, case.answer().fullchain_pem, "", olga, now)
    assert case.fresh().next_attempt_at == now
    assert session.scalars(select(Alarm)).one().cleared_at == now
    assert audited(session) == ["manual_order.issue"]
    query = select(HistoryEntry).where(
        HistoryEntry.subject_id == case.order_id, HistoryEntry.event == "issue"
    )
    change = session.scalars(query).one()
    assert (change.to_state, change.actor) == ("issued", olga.id)
    assert change.params == {
        "renewal_id": case.renewal.id,
        "certificate_id": case.renewal.predecessor_id,
    }


def test_the_chain_may_come_in_any_order_and_with_its_root(case: Carried, olga: Actor, now: datetime) -> None:
    made = case.answer()
    shuffled = "Dear customer,\n" + pki.to_pem([made.root, *made.intermediates[::-1]]) + "\n" + made.leaf_pem
    order = manual_orders.paste(case.order_id, shuffled, "", olga, now)
    assert order.chain_pem == made.fullchain_pem


REFUSED: list[tuple[str, Any]] = [
    ("issued_with_wrong_key", lambda case: case.answer(key_number=8).fullchain_pem),
    ("issued_without_name", lambda case: case.answer(names=["pay.example.com"]).fullchain_pem),
    ("certificate_expired", lambda case: case.answer(expires_in=timedelta(days=-1)).fullchain_pem),
    ("issued_not_valid_now", lambda case: case.answer(expires_in=timedelta(days=300)).fullchain_pem),
    ("chain_incomplete", lambda case: case.answer().leaf_pem),
    (
        "chain_has_strangers",
        lambda case: case.answer().fullchain_pem + pki.to_pem([pki.make_ca("Else", number=9).certificate]),
    ),
    ("issued_other_validation", lambda case: case.answer(policy_oids=(pki.DV_POLICY,)).fullchain_pem),
    ("is_csr", lambda case: case.renewal.csr_pem),
    ("no_certificate", lambda _case: "the certificate is attached"),
    ("broken_pem", lambda case: case.answer().fullchain_pem.replace("MI", "!!")),
    ("no_certificate", lambda _case: ""),
]


@pytest.mark.parametrize(("code", "text"), REFUSED)
def test_what_is_not_the_ordered_certificate_changes_nothing(
    case: Carried, olga: Actor, now: datetime, session: Db, code: str, text: Any
) -> None:
    with pytest.raises(DomainError) as caught:
        manual_orders.paste(case.order_id, text(case), "CFCA-77", olga, now)
    assert caught.value.code == code
    assert state_of(case) is ManualOrderState.UNDER_REVIEW
    assert manual_orders.get(case.order_id).reference is None
    assert audited(session) == []


def test_a_refusal_keeps_the_operators_words(case: Carried, olga: Actor, now: datetime, session: Db) -> None:
    order = manual_orders.refuse(case.order_id, " 执照已过期 ", olga, now)
    assert (order.state, order.refusal) == (ManualOrderState.REFUSED, "执照已过期")
    assert case.fresh().next_attempt_at == now
    assert session.scalars(select(Alarm)).one().cleared_at == now
    assert audited(session) == ["manual_order.refuse"]


def test_a_refusal_needs_words(case: Carried, olga: Actor, now: datetime) -> None:
    with pytest.raises(DomainError, match="refusal_without_words"):
        manual_orders.refuse(case.order_id, "  \n", olga, now)
    assert state_of(case) is ManualOrderState.UNDER_REVIEW


def test_what_is_finished_stays_as_it_is(case: Carried, olga: Actor, now: datetime) -> None:
    manual_orders.refuse(case.order_id, "no", olga, now)
    acts = (
        lambda: manual_orders.paste(case.order_id, case.answer().fullchain_pem, "", olga, now),
        lambda: manual_orders.refuse(case.order_id, "again", olga, now),
        lambda: manual_orders.take(case.order_id, "X", olga, now),
    )
    for act in acts:
        with pytest.raises(DomainError, match="transition_refused"):
            act()
    assert manual_orders.get(case.order_id).refusal == "no"


def test_taking_an_order_says_who_carries_it(case: Carried, olga: Actor, now: datetime, session: Db) -> None:
    manual_orders.take(case.order_id, "CFCA-77", olga, now)
    (line,) = manual_order_pages.list_open()
    assert (line.reference, line.handler) == ("CFCA-77", "olga@example.com")
    manual_orders.paste(case.order_id, case.answer().fullchain_pem, "", olga, now)
    assert manual_orders.get(case.order_id).reference == "CFCA-77"
    assert audited(session) == ["manual_order.take", "manual_order.issue"]


def test_an_order_without_a_csr_is_no_operators_business(factory: Factory, now: datetime) -> None:
    account = factory.ca_account(kind="manual")
    url = ca_accounts.connect(account).new_order(("a.example.com",)).url
    with pytest.raises(DomainError, match="not_found"):
        manual_orders.get(url.rpartition(":")[2])


def test_two_operators_who_paste_at_once_bring_one_certificate(
    core_app: Flask, case: Carried, olga: Actor, now: datetime, session: Db
) -> None:
    texts = [case.answer().fullchain_pem for _ in range(4)]
    codes: list[str] = []

    def bring(text: str) -> None:
        with core_app.app_context():
            try:
                manual_orders.paste(case.order_id, text, "", olga, now)
                codes.append("done")
            except DomainError as error:
                codes.append(error.code)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=bring, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == ["done", "transition_refused", "transition_refused", "transition_refused"]
    assert audited(session) == ["manual_order.issue"]


@pytest.mark.databases("sqlite")
def test_an_ev_order_may_not_bring_an_ov_certificate(
    factory: Factory, cast: Cast, olga: Actor, now: datetime
) -> None:
    ev = carried(factory, cast, now, validation_type=ValidationType.EV)
    with pytest.raises(DomainError) as caught:
        manual_orders.paste(ev.order_id, ev.answer().fullchain_pem, "", olga, now)
    assert caught.value.params == {"said": "OV", "wanted": "EV"}
