"""Renewals that want to order, for the tests of CA accounts' capacity."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from flask import Flask, current_app

from portal.adapters.errors import AdapterError
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.catalogue import CaAccount, Product, ProductFallback
from portal.models.certificate import Certificate, Source
from portal.models.hosting import Renewal
from portal.services import ca_capacity
from tests import pki
from tests.factories import Cast, Factory


@dataclass
class Shop:
    """Certificates of one product that fall due; `account` issues it."""

    factory: Factory
    cast: Cast
    now: datetime
    account: CaAccount
    product: Product
    made: list[Renewal] = field(default_factory=list)

    @classmethod
    def open(cls, factory: Factory, cast: Cast, now: datetime, **config: Any) -> Shop:
        account = factory.ca_account("primary", config=config)
        return cls(factory, cast, now, account, factory.product(ca_account=account))

    def due(self, *names: str, expires_in: timedelta = timedelta(days=30), **columns: Any) -> Renewal:
        """A renewal with its key, about to order."""
        names = names or (f"n{len(self.made)}.shop{len(self.made)}.example",)
        predecessor = self.factory.certificate(
            self.cast.organisation, names=names, expires_in=expires_in, extensions=[issuer_key()]
        )
        values = {"state": RenewalState.KEYED, "started_at": self.now, "ca_account_id": self.account.id}
        hosting = self.factory.hosting(predecessor, self.product)
        renewal = self.factory.renewal(hosting, due=self.now, **{**values, **columns})
        self.made.append(renewal)
        return renewal

    def fallback(self, name: str, **config: Any) -> CaAccount:
        """One more account that issues the product."""
        account = self.factory.ca_account(name, config=config)
        position = 1 + len(self.product_fallbacks())
        row = ProductFallback(product_id=self.product.id, position=position, ca_account_id=account.id)
        self.factory.add(row)
        return account

    def product_fallbacks(self) -> Sequence[ProductFallback]:
        return db.session.query(ProductFallback).filter_by(product_id=self.product.id).all()

    def set(self, account: CaAccount | None = None, **columns: Any) -> None:
        """Change an account's row."""
        account = account or self.account
        for name, value in columns.items():
            setattr(account, name, value)
        db.session.commit()
        db.session.expire_all()


def issuer_key() -> x509.AuthorityKeyIdentifier:
    """What makes a certificate one that can be named (RFC 9773, 4.1)."""
    key = pki.test_ca().certificate.public_key()
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)  # type: ignore[arg-type]


def issued_by(account: CaAccount, certificate: Certificate) -> None:
    """Let a certificate be one that was issued here, by this account."""
    certificate.source, certificate.ca_account_id = Source.ISSUED, account.id
    db.session.commit()


def refusal(renewal: Renewal, now: datetime) -> AdapterError:
    """How `admit` refuses."""
    try:
        account = ca_capacity.admit(renewal, now)
    except AdapterError as error:
        assert not error.permanent
        assert error.not_before is not None
        assert error.not_before >= now
        return error
    raise AssertionError(f"admitted by {account.name}")


def outcome(renewal: Renewal, now: datetime) -> str:
    """The name of the account that admitted, or the code of the refusal."""
    try:
        return ca_capacity.admit(renewal, now).name
    except AdapterError as error:
        return error.code


def at_once(jobs: Sequence[Callable[[], object]]) -> list[object]:
    """Run each in a thread with a database session of its own, all starting together; what they returned."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    gun, results = threading.Barrier(len(jobs), timeout=20), [None] * len(jobs)

    def run(number: int) -> None:
        with app.app_context():
            gun.wait()
            try:
                results[number] = jobs[number]()  # type: ignore[call-overload]
            except BaseException as error:
                results[number] = error  # type: ignore[call-overload]
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
