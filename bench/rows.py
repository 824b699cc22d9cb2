"""Rows for measurements: what one hosted certificate needs, and a million of them in a few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, Table, insert, literal, literal_column, select, text, update

from bench.installation import settle
from portal.adapters.key_vault import Place
from portal.domain.certificate import read_facts
from portal.domain.checks import CheckState, CheckSubject
from portal.domain.due import alarm_at
from portal.domain.hosting import HostingState
from portal.domain.keys import key_to_der
from portal.domain.renewal import RenewalState
from portal.domain.spec import DomainType, Grade, ValidationType
from portal.extensions import db
from portal.models.account import Organisation
from portal.models.catalogue import Product
from portal.models.certificate import Certificate, Source
from portal.models.hosting import Hosting, Renewal
from portal.models.types import new_id
from portal.models.validation import HostingCheck
from portal.services import ca_accounts
from portal.services.private_keys import vault
from tests import pki

LIFETIME = timedelta(days=199)


@dataclass(frozen=True)
class Shop:
    """Somebody who hosts certificates, and the product that renews them. Nobody there reads mail."""

    organisation_id: str
    product_id: str
    account_id: str


def open_shop(kind: str, config: Mapping[str, Any], now: datetime) -> Shop:
    """A CA account (registered), a product of it, and an organisation."""
    account = ca_accounts.add("Bench", kind, config, {}, "bench", now)
    ca_accounts.ensure_registered(account)
    organisation = Organisation(id=new_id(), name="Bench", created_at=now)
    product = Product(
        id=new_id(), code="bench", title="Bench", domain_type=DomainType.SINGLE,
        validation_type=ValidationType.DV, brand="perennial", grade=Grade.BASIC, price_fen=19_900,
        currency="CNY", ca_account_id=account.id, is_on_sale=True,
    )  # fmt: skip
    db.session.add_all([organisation, product])
    db.session.commit()
    return Shop(organisation.id, product.id, account.id)


def add_hosted(
    shop: Shop, count: int, now: datetime, *, key_type: str = "ec-p256", prefix: str = "r"
) -> list[str]:
    """Hosted certificates of one name each whose renewals are due in a year; returns the ids of the renewals."""
    made = pki.make_certificate(("bench.example",), now=now, expires_in=timedelta(days=20), lifetime=LIFETIME)
    certificates, hostings, renewals = [], [], []
    for number in range(count):
        name = f"{prefix}{number}.bench.example"
        certificates.append(
            _certificate(shop, made, now)
            | {"name": name, "names": [name], "names_text": name, "key_type": key_type}
        )
        row = certificates[-1]
        row |= {"id": new_id(), "sha256": f"{prefix}{number}"}
        place = Place(shop.organisation_id, "certificates", row["id"], "private_key")
        row["private_key"] = vault().seal(key_to_der(made.key), place)
        hostings.append(_hosting(shop, now) | {"id": new_id(), "certificate_id": row["id"]})
        renewals.append(
            _renewal(shop, now)
            | {
                "id": new_id(),
                "hosting_id": hostings[-1]["id"],
                "predecessor_id": row["id"],
                "names": [name],
                "key_type": key_type,
                "next_attempt_at": now + timedelta(days=365),
            }
        )
    for model, rows in ((Certificate, certificates), (Hosting, hostings), (Renewal, renewals)):
        db.session.execute(insert(model), rows)
    db.session.commit()
    return [row["id"] for row in renewals]


def add_many(shop: Shop, count: int, now: datetime) -> None:
    """As `add_hosted`, made inside the database, with their checks: spread evenly, nothing due for a month."""
    made = pki.make_certificate(
        ("bench.example",), now=now, expires_in=timedelta(days=150), lifetime=LIFETIME
    )
    certificate = _certificate(shop, made, now) | {"leaf_pem": "", "chain_pem": ""}
    own, spread = _id(), _moment(now + timedelta(days=31), 120 * 86_400 / count)
    _multiply(Certificate.__table__, certificate, {"id": own, "sha256": own, "serial": own}, count)
    _multiply(Hosting.__table__, _hosting(shop, now), {"id": own, "certificate_id": own}, count)
    renewal = {"id": own, "hosting_id": own, "predecessor_id": own, "next_attempt_at": spread}
    _multiply(Renewal.__table__, _renewal(shop, now), renewal, count)
    for number, subject in enumerate(CheckSubject):
        check = {
            "organisation_id": shop.organisation_id, "subject": subject, "state": CheckState.ACTIVE,
            "created_at": now,
        }  # fmt: skip
        ids = {"id": _id(str(number + 1)), "hosting_id": own, "next_attempt_at": spread}
        _multiply(HostingCheck.__table__, check, ids, count)
    db.session.commit()
    settle()


def make_due(count: int, first: int, step: int, at: datetime) -> None:
    """Make renewals of those that `add_many` made due: the `first` one, and `count` in all that lie `step` apart."""
    numbers = select(_series(count)).subquery()
    ids = select(literal_column(_id(expression=f"({first} + (n - 1) * {step})"))).select_from(numbers)
    changed = Renewal.__table__.update().where(Renewal.id.in_(ids))
    db.session.execute(changed.values(next_attempt_at=at, rung_until=None))
    db.session.commit()


def _certificate(shop: Shop, made: pki.Made, now: datetime) -> dict[str, Any]:
    facts = read_facts(made.leaf)
    return {
        "organisation_id": shop.organisation_id, "source": Source.UPLOADED, "name": "bench.example",
        "names": ["bench.example"], "names_text": "bench.example", "domain_type": DomainType.SINGLE,
        "validation_type": ValidationType.DV, "brand": "perennial", "grade": Grade.BASIC,
        "issuer": facts.issuer, "serial": facts.serial, "key_type": facts.key_type,
        "not_before": facts.not_before, "not_after": facts.not_after, "leaf_pem": made.leaf_pem,
        "chain_pem": made.chain_pem, "created_at": now,
    }  # fmt: skip


def _hosting(shop: Shop, now: datetime) -> dict[str, Any]:
    return {
        "organisation_id": shop.organisation_id, "product_id": shop.product_id, "state": HostingState.HOSTED,
        "coverage_ends_at": now + timedelta(days=365), "created_at": now,
    }  # fmt: skip


def _renewal(shop: Shop, now: datetime) -> dict[str, Any]:
    not_after = now + timedelta(days=20)
    return {
        "organisation_id": shop.organisation_id, "sequence": 1, "state": RenewalState.WAITING,
        "names": ["bench.example"], "key_type": "ec-p256", "created_at": now,
        "alarm_at": alarm_at(not_after - LIFETIME, not_after, 1),
    }  # fmt: skip


def _multiply(table: Table, row: Mapping[str, Any], own: Mapping[str, str], count: int) -> None:
    """Insert `count` rows that are alike but for the columns in `own`: SQL expressions of n, from 1 up."""
    series = _series(count)
    values = [
        literal(value, table.c[name].type).label(name) for name, value in row.items() if name not in own
    ]
    values += [literal_column(expression).label(name) for name, expression in own.items()]
    names = [name for name in row if name not in own] + list(own)
    rows: Select[Any] = select(*values).select_from(series)
    db.session.execute(insert(table).from_select(names, rows))


def _series(count: int) -> Any:
    first = select(literal_column("1").label("n")).cte("series", recursive=True)
    following = select(literal_column("n + 1")).select_from(first).where(text(f"n < {count:d}"))
    return first.union_all(following)


def _is_postgres() -> bool:
    return db.engine.dialect.name == "postgresql"


def _id(head: str = "", expression: str = "n") -> str:
    """The id of the n-th row: 32 digits, the first of them `head`."""
    if _is_postgres():
        return f"'{head}' || lpad(to_hex({expression}), {32 - len(head)}, '0')"
    return f"printf('{head}%0{32 - len(head)}x', {expression})"


def _moment(start: datetime, seconds: float) -> str:
    """A moment `seconds` after the one of the row before."""
    begin = start.replace(tzinfo=None).isoformat(" ", "seconds")
    if _is_postgres():
        return f"timestamptz '{begin}+00' + n * interval '{seconds} seconds'"
    return f"strftime('%Y-%m-%d %H:%M:%f', '{begin}', (n * {seconds}) || ' seconds') || '000'"


def make_ids_due(ids: Sequence[str], at: datetime) -> None:
    """Make these renewals due."""
    due = update(Renewal).where(Renewal.id.in_(ids)).values(next_attempt_at=at, rung_until=None)
    db.session.execute(due.execution_options(synchronize_session=False))
    db.session.commit()


def put_off(now: datetime, until: datetime) -> None:
    """What is due now is not due before then."""
    due = update(Renewal).where(Renewal.next_attempt_at <= now).values(next_attempt_at=until, rung_until=None)
    db.session.execute(due.execution_options(synchronize_session=False))
    db.session.commit()
