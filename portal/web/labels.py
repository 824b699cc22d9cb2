"""How every state and word of the domain is shown: its name in the reader's language, its tone, its icon."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l

from portal.domain.checks import CheckState, CheckSubject
from portal.domain.deployment import CloudProduct, DeploymentState
from portal.domain.hosting import CertificateState, HostingState
from portal.domain.manual_order import ManualOrderState
from portal.domain.notices import NoticeState
from portal.domain.order import OrderKind, OrderState, PaymentState
from portal.domain.renewal import RenewalState
from portal.domain.replacement import ReplacementState
from portal.domain.revocation import RevocationState
from portal.domain.spec import DomainType, Grade, ValidationType
from portal.domain.validation import ValidationMethod
from portal.models.account import Role
from portal.models.hosting import Renewal
from portal.services.manual_orders import is_under_review
from portal.services.validation_standings import Standing


class Face(NamedTuple):
    """What people see of a state; `tone` is a CSS class suffix (ok, warn, bad, info, quiet, accent)."""

    label: Any
    tone: str = "quiet"
    icon: str = "circle-dot"


_CERTIFICATES: Mapping[StrEnum, Face] = {
    CertificateState.UPLOADED: Face(_l("Uploaded"), "quiet", "upload"),
    CertificateState.ISSUED: Face(_l("Issued"), "ok", "circle-check"),
    CertificateState.HOSTED: Face(_l("Hosted"), "accent", "refresh-dot"),
    CertificateState.UNDER_REVIEW: Face(_l("Under review"), "info", "user-check"),
    CertificateState.NOT_ACTIVATED: Face(_l("Not activated"), "quiet", "clock-pause"),
    CertificateState.EXPIRING: Face(_l("Expiring"), "warn", "hourglass"),
    CertificateState.EXPIRED: Face(_l("Expired"), "bad", "circle-x"),
    CertificateState.REVOKED: Face(_l("Revoked"), "bad", "circle-x"),
    CertificateState.HOSTING_FAILED: Face(_l("Hosting failed"), "bad", "alert-circle"),
    CertificateState.ACTION_REQUIRED: Face(_l("Action required"), "warn", "alert-triangle"),
}

_HOSTINGS: Mapping[StrEnum, Face] = {
    HostingState.HOSTED: Face(_l("Hosted"), "accent", "refresh-dot"),
    HostingState.FAILED: Face(_l("Hosting failed"), "bad", "alert-circle"),
    HostingState.COMPLETED: Face(_l("Term completed"), "quiet", "checks"),
    HostingState.CANCELLED: Face(_l("Cancelled"), "quiet", "minus"),
}

_RENEWALS: Mapping[StrEnum, Face] = {
    RenewalState.WAITING: Face(_l("Not activated"), "quiet", "clock-pause"),
    RenewalState.STARTED: Face(_l("Started"), "info", "loader"),
    RenewalState.CHECKED: Face(_l("Domains looked at"), "info", "world-check"),
    RenewalState.KEYED: Face(_l("Key made"), "info", "key"),
    RenewalState.ORDERED: Face(_l("Applied for"), "info", "send"),
    RenewalState.PRESENTED: Face(_l("Proof in place"), "info", "world-check"),
    RenewalState.VALIDATING: Face(_l("Domain check running"), "info", "world-check"),
    RenewalState.VALIDATED: Face(_l("Domain checked"), "info", "world-check"),
    RenewalState.FINALIZING: Face(_l("Being issued"), "info", "loader"),
    RenewalState.ISSUED: Face(_l("Issued"), "ok", "circle-check"),
    RenewalState.DEPLOYING: Face(_l("Deploying"), "info", "cloud-upload"),
    RenewalState.DONE: Face(_l("Renewed and live"), "ok", "circle-check"),
    RenewalState.CANCELLED: Face(_l("Cancelled"), "quiet", "minus"),
}

_DEPLOYMENTS: Mapping[StrEnum, Face] = {
    DeploymentState.PENDING: Face(_l("Waiting"), "quiet", "clock"),
    DeploymentState.UPLOADED: Face(_l("Uploaded to the cloud"), "info", "cloud-upload"),
    DeploymentState.BOUND: Face(_l("Bound"), "info", "link"),
    DeploymentState.READ_BACK: Face(_l("Waiting to be served"), "info", "loader"),
    DeploymentState.LIVE: Face(_l("Live"), "ok", "world-check"),
    DeploymentState.NOT_LIVE: Face(_l("Renewed but not live"), "bad", "alert-triangle"),
    DeploymentState.SUPERSEDED: Face(_l("Superseded"), "quiet", "archive"),
    DeploymentState.LEFT_ALONE: Face(_l("Left alone"), "quiet", "minus"),
}

_ORDERS: Mapping[StrEnum, Face] = {
    OrderState.OPEN: Face(_l("Awaiting payment"), "warn", "wallet"),
    OrderState.PAID: Face(_l("Paid"), "info", "credit-card"),
    OrderState.FULFILLED: Face(_l("Completed"), "ok", "circle-check"),
    OrderState.EXPIRED: Face(_l("Lapsed"), "quiet", "clock"),
    OrderState.CANCELLED: Face(_l("Cancelled"), "quiet", "minus"),
    OrderState.DISPUTED: Face(_l("Being looked into"), "bad", "alert-triangle"),
}

_PAYMENTS: Mapping[StrEnum, Face] = {
    PaymentState.STARTED: Face(_l("Awaiting payment"), "warn", "wallet"),
    PaymentState.PAID: Face(_l("Paid"), "ok", "circle-check"),
    PaymentState.REFUSED: Face(_l("Payment refused"), "bad", "circle-x"),
    PaymentState.CLOSED: Face(_l("Closed"), "quiet", "minus"),
}

#: By class: members of different classes that have one value are equal, and would overwrite one another.
FACES: Mapping[type[StrEnum], Mapping[StrEnum, Face]] = {
    CertificateState: _CERTIFICATES,
    HostingState: _HOSTINGS,
    RenewalState: _RENEWALS,
    DeploymentState: _DEPLOYMENTS,
    OrderState: _ORDERS,
    PaymentState: _PAYMENTS,
    ManualOrderState: {
        ManualOrderState.PLACED: Face(_l("Applied for"), "info", "send"),
        ManualOrderState.UNDER_REVIEW: Face(_l("Under review"), "info", "user-check"),
        ManualOrderState.ISSUED: Face(_l("Issued"), "ok", "circle-check"),
        ManualOrderState.REFUSED: Face(_l("Refused by the CA"), "bad", "circle-x"),
    },
    OrderKind: {
        OrderKind.NEW: Face(_l("New purchase"), "quiet", "plus"),
        OrderKind.EXISTING: Face(_l("Existing certificate"), "quiet", "file-certificate"),
    },
    DomainType: {
        DomainType.SINGLE: Face(_l("Single domain"), "quiet", "world"),
        DomainType.MULTI: Face(_l("Multi-domain"), "quiet", "stack-2"),
        DomainType.WILDCARD: Face(_l("Wildcard"), "quiet", "world-www"),
    },
    ValidationType: {
        ValidationType.DV: Face("DV", "quiet", "shield"),
        ValidationType.OV: Face("OV", "quiet", "shield"),
        ValidationType.EV: Face("EV", "quiet", "shield"),
    },
    Grade: {
        Grade.BASIC: Face(_l("Basic"), "quiet", "leaf"),
        Grade.PRO: Face(_l("Pro"), "quiet", "leaf"),
        Grade.ADVANCED: Face(_l("Advanced"), "quiet", "leaf"),
    },
    CloudProduct: {
        CloudProduct.CDN: Face("CDN", "quiet", "cloud"),
        CloudProduct.WAF: Face("WAF", "quiet", "shield"),
        CloudProduct.DCDN: Face("DCDN", "quiet", "cloud"),
        CloudProduct.DDOS: Face(_l("Anti-DDoS"), "quiet", "shield-check"),
        CloudProduct.LIVE: Face(_l("Live streaming"), "quiet", "activity"),
    },
    RevocationState: {
        RevocationState.AWAITING: Face(_l("Revoked after replacement"), "warn", "clock"),
        RevocationState.REQUESTED: Face(_l("Being revoked"), "info", "loader"),
        RevocationState.REVOKED: Face(_l("Revoked"), "bad", "circle-x"),
    },
    ReplacementState: {
        ReplacementState.RUNNING: Face(_l("Running"), "info", "loader"),
        ReplacementState.PAUSED: Face(_l("paused"), "warn", "player-pause"),
        ReplacementState.DONE: Face(_l("Completed"), "ok", "circle-check"),
        ReplacementState.CANCELLED: Face(_l("Cancelled"), "quiet", "minus"),
    },
    ValidationMethod: {
        ValidationMethod.DELEGATION: Face(_l("CNAME delegation"), "quiet", "link"),
        ValidationMethod.CREDENTIALS: Face(_l("DNS credentials"), "quiet", "key"),
        ValidationMethod.HTTP: Face(_l("Over HTTP"), "quiet", "world"),
        ValidationMethod.OPERATOR: Face(_l("As the operator set it up"), "quiet", "settings"),
    },
    Standing: {
        Standing.BLOCKED: Face(_l("Blocked"), "bad", "alert-circle"),
        Standing.WARNING: Face(_l("Warning"), "warn", "alert-triangle"),
        Standing.UNSEEN: Face(_l("Not looked at yet"), "quiet", "clock"),
        Standing.OK: Face(_l("In order"), "ok", "circle-check"),
        Standing.UNNEEDED: Face(_l("Not needed"), "quiet", "check"),
    },
    CheckState: {
        CheckState.ACTIVE: Face(_l("Repeated"), "info", "refresh"),
        CheckState.ENDED: Face(_l("Ended"), "quiet", "minus"),
    },
    CheckSubject: {
        CheckSubject.ARI: Face(_l("Renewal window of the CA"), "quiet", "calendar"),
        CheckSubject.VALIDATION: Face(_l("Domain validation"), "quiet", "world-check"),
    },
    NoticeState: {
        NoticeState.PENDING: Face(_l("To be sent"), "info", "clock"),
        NoticeState.SENT: Face(_l("Sent"), "ok", "mail-check"),
        NoticeState.REFUSED: Face(_l("Refused by the mail server"), "bad", "mail"),
    },
    Role: {
        Role.OWNER: Face(_l("Owner"), "accent", "key"),
        Role.MANAGER: Face(_l("Manager"), "info", "edit"),
        Role.VIEWER: Face(_l("Viewer"), "quiet", "eye"),
    },
}


def face(value: StrEnum) -> Face:
    """The face of a state or word; one that has none yet shows its own value."""
    return FACES.get(type(value), {}).get(value, Face(value.value))


def progress(renewal: Renewal) -> StrEnum:
    """How a renewal stands, as people say it: 审核中 while people at the CA look at it."""
    return CertificateState.UNDER_REVIEW if is_under_review(renewal) else renewal.state


def label(value: StrEnum) -> Any:
    """The name of a state or word in the reader's language."""
    return face(value).label
