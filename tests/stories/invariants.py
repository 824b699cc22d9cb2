"""What must be true once the story is over, however often workers died in it."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from itertools import pairwise

from cryptography import x509
from sqlalchemy import func, select

from portal.clock import utc_now
from portal.domain.certificate import sha256_of
from portal.domain.deployment import DeploymentState
from portal.domain.hosting import HostingState
from portal.domain.notices import NoticeKind, NoticeState
from portal.domain.order import OrderState, PaymentState
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.deployment import CloudUpload, Deployment, DeploymentTarget
from portal.models.history import HistoryEntry
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.models.order import Order, Payment
from portal.services.kinds import KINDS
from tests.stories import promises
from tests.stories.hosted_story import Begun
from tests.stories.outside import DOMAIN, Outside

TOLD = [NoticeKind.HOSTING_TURNED_ON, NoticeKind.ORDER_PAID, NoticeKind.RENEWED]


def check_all(place: Outside, begun: Begun, repeated_mails: int = 1, logs: str = "") -> None:
    """Every promise at once."""
    db.session.expire_all()
    successor = check_renewal(place, begun)
    check_deployment(place, successor)
    check_money(begun)
    check_notices(place, repeated_mails)
    check_nothing_is_held()
    check_history()
    promises.check(utc_now(), place.ca.issued(), logs)


def check_renewal(place: Outside, begun: Begun) -> Certificate:
    """One certificate was issued, and it has taken over."""
    renewal, coming = db.session.scalars(select(Renewal).order_by(Renewal.sequence)).all()
    assert (renewal.state, coming.state) == (RenewalState.DONE, RenewalState.WAITING)
    successor = renewal.successor
    assert successor is not None
    assert [int(serial, 16) for serial in place.ca.issued()] == [int(successor.serial, 16)]
    assert successor.predecessor_id == begun.certificate_id == renewal.predecessor_id
    assert coming.predecessor_id == successor.id
    hosting = db.session.scalars(select(Hosting)).one()
    assert (hosting.state, hosting.certificate_id) == (HostingState.HOSTED, successor.id)
    assert db.session.scalar(select(func.count()).select_from(Certificate)) == 2
    return successor


def check_deployment(place: Outside, successor: Certificate) -> None:
    """One deployment is in effect: uploaded once, bound once, and what the edge serves."""
    deployment = db.session.scalars(select(Deployment)).one()
    assert (deployment.state, deployment.certificate_id) == (DeploymentState.LIVE, successor.id)
    assert db.session.scalars(select(CloudUpload)).one().certificate_id == successor.id
    target = db.session.scalars(select(DeploymentTarget)).one()
    assert (target.certificate_id, target.served_sha256) == (successor.id, successor.sha256)
    assert [upload.sha256 for upload in place.cloud.uploads][1:] == [successor.sha256]
    assert len(place.cloud.bindings) == 1
    assert served_sha256(place.cloud.edge_address) == successor.sha256


def served_sha256(address: str) -> str:
    """The leaf that a TLS handshake for DOMAIN shows."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), 5) as raw,
        context.wrap_socket(raw, server_hostname=DOMAIN) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return sha256_of(x509.load_der_x509_certificate(der))


def check_money(begun: Begun) -> None:
    """One order, one charge, one hosting for it."""
    order = db.session.scalars(select(Order)).one()
    assert (order.id, order.state) == (begun.order_id, OrderState.FULFILLED)
    payment = db.session.scalars(select(Payment)).one()
    assert (payment.state, payment.amount_fen) == (PaymentState.PAID, order.total_fen)


def check_notices(place: Outside, repeated_mails: int) -> None:
    """One row for each event, and mails that repeat at most so often, under the same Message-ID."""
    notices = db.session.scalars(select(Notice).order_by(Notice.kind)).all()
    assert [one.kind for one in notices] == TOLD
    assert {one.state for one in notices} == {NoticeState.SENT}
    mails = Counter(str(mail["Message-ID"]) for mail in place.mail.messages)
    assert set(mails) == {one.message_id for one in notices}
    assert mails.total() - len(mails) <= repeated_mails


def check_nothing_is_held() -> None:
    """No lease, no fault, nothing due but the next renewal."""
    for kind in KINDS.values():
        for row in db.session.scalars(select(kind.model)):
            assert row.lease_owner is None, (kind.name, row.id, row.state)
            assert row.stopped_at is None, (kind.name, row.id, row.error_code)


def check_history() -> None:
    """Each row's changes follow one another without a gap, and none is written twice."""
    subjects: dict[str, list[HistoryEntry]] = {}
    for entry in db.session.scalars(select(HistoryEntry).order_by(HistoryEntry.at)):
        subjects.setdefault(entry.subject_id, []).append(entry)
    for entries in subjects.values():
        events = Counter(entry.event for entry in entries)
        assert not [event for event, count in events.items() if count > 1], events
        by_state = sorted(entries, key=lambda entry: entry.at)
        assert {one.to_state for one in by_state[:-1]} >= {two.from_state for _, two in pairwise(by_state)}
