"""Turning hosting on for what was paid: the hosting, its first renewal, the history and the notices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from portal.domain import hosting as rules
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.notices import NoticeKind
from portal.domain.spec import differing_parts
from portal.domain.term import end_for_existing
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.history import HistoryEntry
from portal.models.hosting import Hosting
from portal.models.order import OrderLine
from portal.models.types import new_id
from portal.services import check_rows
from portal.services.hosting import background
from portal.services.noticing import tell
from portal.services.renewing import schedule_next


def check_still_possible(lines: Iterable[OrderLine]) -> None:
    """Raise DomainError where paid hosting cannot be turned on any more: already_hosted, certificate_revoked,
    certificate_replaced. A window that closed since the order was made does not matter: the money came in time.
    """
    certificates = [line.certificate for line in lines]
    known = background([certificate.id for certificate in certificates])
    for certificate in certificates:
        reason = rules.reason_against(known.candidate(certificate), 0, certificate.not_before)
        if reason is not None:
            raise DomainError(reason.code, certificate_id=certificate.id)


def turn_on(line: OrderLine, organisation_id: str, actor: str, now: datetime) -> Hosting:
    """Create the hosting that a paid line is for, with its first renewal (未激活), in the caller's transaction.

    Where the product's specification is no longer the certificate's, the hosting is there and failed (托管失败), and
    the history names the parts that differ (rule 6).
    """
    certificate, product = line.certificate, line.product
    differing = differing_parts(product.spec, certificate.spec) if certificate.spec else ("spec",)
    state = HostingState.FAILED if differing else HostingState.HOSTED
    expiry = background([certificate.id]).expiry(certificate)
    hosting = Hosting(
        id=new_id(),
        organisation_id=organisation_id,
        certificate_id=certificate.id,
        product_id=product.id,
        order_line_id=line.id,
        state=state,
        coverage_ends_at=end_for_existing(expiry, line.quantity),
        created_at=now,
    )
    db.session.add(hosting)
    db.session.flush()
    _note(hosting, actor, differing, now)
    if state is HostingState.HOSTED:
        schedule_next(hosting, certificate, now)
        check_rows.begin(hosting, now)
    _tell(hosting, certificate, differing, now)
    return hosting


def _note(hosting: Hosting, actor: str, differing: Sequence[str], now: datetime) -> None:
    entry = HistoryEntry(
        subject_type="hostings",
        subject_id=hosting.id,
        from_state="",
        event="turn_on",
        to_state=hosting.state.value,
        actor=actor,
        reason="spec_mismatch" if differing else None,
        params={"parts": ", ".join(differing)} if differing else None,
        at=now,
    )
    db.session.add(entry)


def _tell(hosting: Hosting, certificate: Certificate, differing: Sequence[str], now: datetime) -> None:
    params = {"name": certificate.name, "names": list(certificate.names), "certificate_id": certificate.id}
    if differing:
        kind, extra = (
            NoticeKind.HOSTING_FAILED,
            {"error_code": "spec_mismatch", "parts": ", ".join(differing)},
        )
    else:
        ends_at = hosting.coverage_ends_at.isoformat()
        kind, extra = NoticeKind.HOSTING_TURNED_ON, {"coverage_ends_at": ends_at}
    tell(
        db.session(),
        hosting.organisation_id,
        kind,
        subject_type="hostings",
        subject_id=hosting.id,
        params={**params, **extra},
        now=now,
    )
