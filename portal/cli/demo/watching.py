"""Looking into the database while workers do their part: reads alone, a fresh session each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from flask import Flask
from sqlalchemy import func, select

from portal.domain.notices import NoticeState
from portal.domain.order import OrderState
from portal.domain.renewal import FINAL, RenewalState
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.deployment import Deployment
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.models.order import Order
from portal.services.hosting import ACTIVE

T = TypeVar("T")

LOOK_EVERY = 0.05


class WaitedTooLong(Exception):
    """What was waited for did not come; the text says what stands in its way, where that is known."""


@dataclass(frozen=True)
class SeenRenewal:
    """A renewal as it stands. `trouble` is the error of its last try, or that of one of its deployments."""

    id: str
    state: RenewalState
    due_at: datetime | None
    successor_id: str | None
    trouble: str | None


class Watch:
    """Reads for one organisation."""

    def __init__(self, app: Flask, organisation_id: str) -> None:
        self._app = app
        self._organisation_id = organisation_id

    def certificate_id(self, sha256: str) -> str | None:
        """The certificate of that fingerprint, or what has taken its place since."""
        with self._app.app_context():
            query = select(Certificate.id).where(
                Certificate.organisation_id == self._organisation_id, Certificate.sha256 == sha256
            )
            found = db.session.scalar(query)
            while found is not None and (newer := _successor_of(found)) is not None:
                found = newer
            return found

    def is_hosted(self, certificate_id: str) -> bool:
        """Whether a hosting is on for it."""
        with self._app.app_context():
            query = select(Hosting.id).where(
                Hosting.certificate_id == certificate_id, Hosting.state.in_(ACTIVE)
            )
            return db.session.scalar(query) is not None

    def order(self, number: str) -> OrderState | None:
        """The state of an order."""
        with self._app.app_context():
            return db.session.scalar(select(Order.state).where(Order.number == number))

    def renewal(self, certificate_id: str) -> SeenRenewal | None:
        """The renewal that replaces this certificate."""
        with self._app.app_context():
            query = select(Renewal).where(
                Renewal.predecessor_id == certificate_id, Renewal.state != RenewalState.CANCELLED
            )
            found = db.session.scalar(query.order_by(Renewal.created_at.desc()).limit(1))
            if found is None:
                return None
            trouble = found.error_code or _deployment_trouble(found.id)
            return SeenRenewal(found.id, found.state, found.next_attempt_at, found.successor_id, trouble)

    def unsent_notices(self) -> int:
        """How many notices are on their way."""
        with self._app.app_context():
            query = select(func.count()).select_from(Notice).where(Notice.state == NoticeState.PENDING)
            return db.session.scalar(query) or 0


def _successor_of(certificate_id: str) -> str | None:
    return db.session.scalar(select(Certificate.id).where(Certificate.predecessor_id == certificate_id))


def _deployment_trouble(renewal_id: str) -> str | None:
    query = select(Deployment.error_code).where(
        Deployment.renewal_id == renewal_id, Deployment.error_code.is_not(None)
    )
    return db.session.scalar(query.limit(1))


def is_over(renewal: SeenRenewal | None) -> bool:
    """Whether a renewal is done."""
    return renewal is not None and renewal.state in FINAL


def wait_for(look: Callable[[], T], is_there: Callable[[T], bool], seconds: float, what: str) -> T:
    """Look until it is there. Raises WaitedTooLong."""
    deadline = time.monotonic() + seconds
    while not is_there(seen := look()):
        if time.monotonic() > deadline:
            trouble = getattr(seen, "trouble", None)
            raise WaitedTooLong(
                f"{what} did not come within {seconds:.0f} s" + (f": {trouble}" if trouble else "")
            )
        time.sleep(LOOK_EVERY)
    return seen
