"""TXT records of validations: noted before they are put anywhere, and remembered until they are gone again.

So they can be taken away whatever happens: when the method, the account or the order has changed meanwhile, when a
process died, when the provider was away. Of a value that two renewals want at one name, the last one takes it away.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Select, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import joinedload

from portal.adapters.dns.base import DnsProvider
from portal.adapters.errors import AdapterError
from portal.domain.renewal import RenewalState
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.models.types import new_id
from portal.models.validation import DelegationZone, DnsCredential, ValidationRecord
from portal.services import ca_accounts, delegation, dns_credentials
from portal.services.operations import leave_transaction
from portal.services.side_by_side import side_by_side

log = structlog.get_logger(__name__)

#: In these states a renewal needs its records.
NEEDED_IN = (RenewalState.ORDERED, RenewalState.PRESENTED, RenewalState.VALIDATING)
#: Left-over records are tried again after this long, and given up after that long.
LEFT_OVER_AFTER = timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(days=7)


@dataclass(frozen=True)
class Place:
    """Where a record goes, and through whom. `zone` or `credential` are set as the method needs them."""

    method: ValidationMethod
    fqdn: str
    account: CaAccount
    zone: DelegationZone | None = None
    credential: DnsCredential | None = None

    @property
    def through(self) -> tuple[str, ...]:
        """What tells one provider from another."""
        return (self.method.value, self.account.id, self.credential.id if self.credential else "")


def put_all(renewal: Renewal, wanted: Sequence[tuple[Place, str]], now: datetime) -> None:
    """Note every record (place and value), then have them all there. Safe to repeat. Raises AdapterError."""
    providers: dict[tuple[str, ...], DnsProvider] = {}
    calls = []
    for place, value in wanted:
        provider = providers.get(place.through) or _provider(place)
        providers[place.through] = provider
        calls.append((provider, place.fqdn, value))
    for place, value in wanted:
        _note(renewal, place, value, now)
    leave_transaction()
    side_by_side(lambda call: call[0].add_txt(call[1], call[2]), calls)


def list_for(renewal: Renewal, values: Collection[str]) -> Sequence[ValidationRecord]:
    """The records with one of these values that a renewal has put somewhere."""
    query = select(ValidationRecord).where(
        ValidationRecord.renewal_id == renewal.id, ValidationRecord.value.in_(values)
    )
    return db.session.scalars(query.order_by(ValidationRecord.id)).all()


def take_away_all(renewal: Renewal) -> None:
    """Take away every record of a renewal. What fails is left to `sweep`: no certificate waits for it."""
    _try_to_take_away(_load(select(ValidationRecord.id).where(ValidationRecord.renewal_id == renewal.id)))


def sweep(now: datetime, limit: int = 50) -> int:
    """Take away what earlier tries left; returns how many are gone. What resists for a week is given up, and logged."""
    old = (
        select(ValidationRecord.id)
        .join(Renewal, Renewal.id == ValidationRecord.renewal_id)
        .where(ValidationRecord.created_at < now - LEFT_OVER_AFTER, Renewal.state.not_in(NEEDED_IN))
        .order_by(ValidationRecord.created_at.desc())
        .limit(limit)
    )
    records = _load(old)
    left = _try_to_take_away(records)
    for record in left:
        if record.created_at < now - GIVEN_UP_AFTER:
            log.warning("validation_record_given_up", fqdn=record.fqdn, renewal=record.renewal_id)
            _forget(record)
    return len(records) - len(left)


def _load(ids: Select[str]) -> Sequence[ValidationRecord]:
    """The records with all that is needed to reach their providers, so that no transaction stays open."""
    query = select(ValidationRecord).where(ValidationRecord.id.in_(ids))
    whole = query.options(
        joinedload(ValidationRecord.ca_account), joinedload(ValidationRecord.dns_credential)
    )
    rows = db.session.scalars(whole.order_by(ValidationRecord.id)).all()
    leave_transaction()
    return rows


def _try_to_take_away(records: Sequence[ValidationRecord]) -> list[ValidationRecord]:
    """Those that could not be taken away. A provider that is away is not asked for the next record."""
    left: list[ValidationRecord] = []
    away: set[tuple[str, ...]] = set()
    for record in records:
        place = _place_of(record)
        if place is not None and place.through in away:
            left.append(record)
            continue
        try:
            _take_away(record, place)
        except AdapterError as error:
            db.session.rollback()
            log.warning(
                "validation_record_left", fqdn=record.fqdn, renewal=record.renewal_id, code=error.code
            )
            left.append(record)
            if place is not None and not error.permanent:
                away.add(place.through)
    return left


def _take_away(record: ValidationRecord, place: Place | None) -> None:
    """1. If another renewal wants the same value at the same name, only forget ours.
    2. Else remove it, and forget it. A zone that is no longer ours (no `place`) is left as it is.
    3. Look again: whoever noted the same meanwhile may have added it before we removed it, so add it once more.
    """
    if place is None or _is_shared(record):
        _forget(record)
        return
    provider = _provider(place)
    leave_transaction()
    provider.remove_txt(record.fqdn, record.value)
    _forget(record)
    if _is_shared(record):
        leave_transaction()
        provider.add_txt(record.fqdn, record.value)


def _place_of(record: ValidationRecord) -> Place | None:
    zone = None
    if record.method is ValidationMethod.DELEGATION:
        zone = delegation.find()
        if zone is None or not record.fqdn.endswith(f".{zone.zone}"):
            return None
    return Place(record.method, record.fqdn, record.ca_account, zone, record.dns_credential)


def _provider(place: Place) -> DnsProvider:
    """Raises AdapterError (permanent): dns_not_configured, and what opening the provider raises."""
    if place.zone is not None:
        return delegation.provider(place.zone)
    if place.credential is not None:
        return dns_credentials.provider(place.credential)
    return ca_accounts.dns_provider(place.account)


def _is_shared(record: ValidationRecord) -> bool:
    same = (ValidationRecord.fqdn == record.fqdn, ValidationRecord.value == record.value)
    query = select(ValidationRecord.id).where(*same, ValidationRecord.id != record.id).limit(1)
    return db.session.scalar(query) is not None


def _forget(record: ValidationRecord) -> None:
    gone = delete(ValidationRecord).where(ValidationRecord.id == record.id)
    db.session.execute(gone.execution_options(synchronize_session=False))
    db.session.commit()


def _note(renewal: Renewal, place: Place, value: str, now: datetime) -> None:
    values = {
        "id": new_id(),
        "renewal_id": renewal.id,
        "method": place.method,
        "ca_account_id": place.account.id,
        "dns_credential_id": place.credential.id if place.credential is not None else None,
        "fqdn": place.fqdn,
        "value": value,
        "created_at": now,
    }
    dialect = postgresql if db.session.connection().dialect.name == "postgresql" else sqlite
    db.session.execute(dialect.insert(ValidationRecord).values(**values).on_conflict_do_nothing())
