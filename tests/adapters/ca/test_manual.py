"""The manual CA, with an operator beside it who brings every certificate at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.ca.base import Authorization, CaOrderState, CaSettings, Challenge
from portal.adapters.ca.manual import PREFIX, ManualCa
from portal.domain.certificate import key_type_of
from portal.domain.keys import make_csr
from portal.domain.manual_order import ManualOrderState
from portal.extensions import db
from portal.models.authority import ManualOrder
from portal.models.catalogue import CaAccount
from portal.services import manual_order_pages, manual_orders
from portal.services.acting import Actor
from portal.services.ca_ledger import DatabaseLedger
from tests import pki
from tests.adapters.ca.contract import CaContract, code_of
from tests.factories import Factory

NAMES = ("a.example.com",)
OPERATOR = Actor("operator", "")


class ManualWorld:
    """Clients that share an account's rows and nothing else."""

    def __init__(self, app: Flask, account: CaAccount) -> None:
        self.app, self.account_id = app, account.id

    def connect(self) -> ManualCa:
        ledger = DatabaseLedger(self.account_id)
        return ManualCa(CaSettings("manual", {"caa_identity": "ca.test other.test"}, {}, ledger=ledger))

    def prove(self, authorization: Authorization) -> Challenge:
        raise AssertionError("a manual CA wants nothing proved by us")

    def issued(self) -> int | None:
        query = select(func.count()).where(ManualOrder.state == ManualOrderState.ISSUED)
        return db.session.scalar(query)

    def carry(self, stop: threading.Event) -> None:
        """An operator at work until told to stop."""
        with self.app.app_context():
            while not stop.wait(0.02):
                for line in manual_order_pages.list_open():
                    bring_back(line.id)
                db.session.remove()


def bring_back(order_id: str) -> None:
    """What the CA would issue for the order's CSR, pasted."""
    order = manual_orders.get(order_id)
    assert order.csr_pem is not None
    key_type = key_type_of(x509.load_pem_x509_csr(order.csr_pem.encode()).public_key())
    made = pki.make_certificate(order.names, key_type=key_type)
    manual_orders.paste(order_id, made.fullchain_pem, "CA-1", OPERATOR, datetime.now(UTC))


@pytest.fixture
def lonely(core_app: Flask, factory: Factory) -> ManualWorld:
    """Nobody carries the orders."""
    return ManualWorld(core_app, factory.ca_account(kind="manual"))


@pytest.fixture
def world(lonely: ManualWorld) -> Iterator[ManualWorld]:
    stop = threading.Event()
    operator = threading.Thread(target=lonely.carry, args=(stop,))
    operator.start()
    yield lonely
    stop.set()
    operator.join(20)


class TestManualCa(CaContract):
    """The suite of every CA."""


def submitted(world: ManualWorld) -> str:
    """The URL of an order that an operator has to carry."""
    url = world.connect().new_order(NAMES).url
    world.connect().finalize(url, make_csr(NAMES, pki.key()))
    return url


def test_an_order_with_its_csr_is_under_review_and_looked_at_hourly(lonely: ManualWorld) -> None:
    seen = lonely.connect().get_order(submitted(lonely))
    assert seen.state is CaOrderState.PROCESSING
    assert seen.retry_at is not None
    assert timedelta(minutes=59) < seen.retry_at - datetime.now(UTC) <= timedelta(hours=1)


def test_there_is_nothing_to_fetch_before_an_operator_brings_it(lonely: ManualWorld) -> None:
    url = submitted(lonely)
    assert code_of(lambda: lonely.connect().download(url, "")) == ("ca_unavailable", False)


def test_a_refused_order_says_why_in_the_operators_words(lonely: ManualWorld) -> None:
    url = submitted(lonely)
    manual_orders.refuse(url.removeprefix(PREFIX), "执照已过期", OPERATOR, datetime.now(UTC))
    seen = lonely.connect().get_order(url)
    assert (seen.state, seen.error) == (CaOrderState.INVALID, "执照已过期")
    assert [(one.name, one.state, one.error) for one in seen.authorizations] == [
        ("a.example.com", "invalid", "执照已过期")
    ]
    assert code_of(lambda: lonely.connect().finalize(url, "")) == ("ca_order_gone", False)


def test_a_second_csr_changes_nothing(lonely: ManualWorld, session: scoped_session[Session]) -> None:
    url, csr = lonely.connect().new_order(NAMES).url, make_csr(NAMES, pki.key())
    for text in (csr, make_csr(NAMES, pki.key("ec-p256", 1))):
        lonely.connect().finalize(url, text)
    assert manual_orders.get(url.removeprefix(PREFIX)).csr_pem == csr


def test_orders_of_another_account_are_gone(lonely: ManualWorld, factory: Factory) -> None:
    other = ManualWorld(lonely.app, factory.ca_account(kind="manual"))
    url = submitted(lonely)
    assert code_of(lambda: other.connect().get_order(url)) == ("ca_order_gone", False)
    assert code_of(lambda: other.connect().finalize(url, "")) == ("ca_order_gone", False)


def test_without_a_ledger_nothing_can_be_ordered() -> None:
    ca = ManualCa(CaSettings("manual", {}, {}))
    assert code_of(lambda: ca.new_order(NAMES)) == ("ca_refused", True)


def test_an_order_has_names(lonely: ManualWorld) -> None:
    assert code_of(lambda: lonely.connect().new_order(())) == ("ca_refused", True)


def test_operators_revoke_at_the_ca_themselves(lonely: ManualWorld) -> None:
    assert code_of(lambda: lonely.connect().revoke("")) == ("ca_revoke_unsupported", True)


def test_it_knows_what_its_settings_say_and_no_more(lonely: ManualWorld) -> None:
    ca = lonely.connect()
    assert ca.caa_identities() == ("ca.test", "other.test")
    assert (ca.renewal_info("AQID.BAUG"), ca.server_time()) == (None, None)
