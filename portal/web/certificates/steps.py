"""A renewal's steps in words: what each one is, how it stands, what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from babel.lists import format_list
from flask import url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from portal.domain.due import DueReason
from portal.domain.manual_order import CHECKLISTS, CUSTOMERS_PART
from portal.domain.renewal import KeySource, RenewalState
from portal.domain.validation import CUSTOMER_CAN_MEND
from portal.models.hosting import Renewal
from portal.services.manual_orders import is_carried, is_under_review
from portal.services.timelines import Status, Step, StepName, Timeline
from portal.web.checklists import ITEMS
from portal.web.locale import day, moment
from portal.web.messages import message_for
from portal.web.refusals import NEXT_STEPS

TITLES: Mapping[StepName, Any] = {
    StepName.DETAILS: _l("Copy the details"),
    StepName.PREFLIGHT: _l("Look at the domains"),
    StepName.KEY: _l("Private key"),
    StepName.REQUEST: _l("Request to the CA"),
    StepName.DOMAIN_CHECK: _l("Domain check"),
    StepName.CA: _l("Issued by the CA"),
    StepName.DEPLOY: _l("Deploy"),
    StepName.LIVE: _l("Live check"),
    StepName.NOTIFY: _l("Tell the contacts"),
}

_DONE_TEXTS: Mapping[StepName, Any] = {
    StepName.DETAILS: _l("Names, key type and product of the predecessor."),
    StepName.PREFLIGHT: _l("Nothing there would keep the CA from issuing."),
    StepName.DOMAIN_CHECK: _l("The CA has verified every name."),
    StepName.LIVE: _l("The new certificate was seen in a TLS handshake."),
}


#: What is mended on the pages of domain validation.
MENDED_THERE = CUSTOMER_CAN_MEND | {
    "delegation_zone_unready",
    "dns_delegation_broken",
    "dns_delegation_foreign",
    "dns_not_configured",
    "dns_outside_zone",
    "dns_refused",
    "name_held_by_another",
    "validation_failed",
}

#: How the key came to be there.
KEY_SOURCES: Mapping[KeySource, Any] = {
    KeySource.NEW: _l("Made here, stored sealed."),
    KeySource.REUSE: _l("The predecessor's key again, as you chose."),
    KeySource.CSR: _l("Your own, behind the request that you gave."),
}

#: Why a renewal falls due when it does; the rule of the lifetime needs no words.
REASONS: Mapping[DueReason, Any] = {
    DueReason.LIFETIME: "",
    DueReason.ARI: _l("The CA suggested this time."),
    DueReason.EMERGENCY: _l("It cannot wait any longer."),
    DueReason.REVOKED: _l("The certificate was revoked."),
    DueReason.KEY_COMPROMISE: _l("The private key is compromised."),
    DueReason.FORCED: _l("Somebody asked for it."),
    DueReason.REPLACEMENT: _l("The CA's certificates are being replaced."),
}


def trail(timeline: Timeline) -> list[dict[str, Any]]:
    """The steps as the `steps` macro takes them."""
    return [_shown(step, timeline) for step in timeline.steps]


def _shown(step: Step, timeline: Timeline) -> dict[str, Any]:
    title = str(TITLES[step.name])
    if step.target is not None:
        title = f"{title} · {step.target.product.upper()} {step.target.domain}"
    shown = {"title": title, "status": step.status.value, "at": step.at, "text": _text(step, timeline)}
    return shown | _way_on(step, timeline)


def _way_on(step: Step, timeline: Timeline) -> dict[str, Any]:
    """The page where the customer mends what stopped the step, where there is one."""
    if step.name not in (StepName.PREFLIGHT, StepName.DOMAIN_CHECK) or step.error_code not in MENDED_THERE:
        return {}
    url = url_for("validation.certificate", certificate_id=timeline.renewal.predecessor_id)
    return {"url": url, "url_label": _("Set up domain validation")}


def _text(step: Step, timeline: Timeline) -> str | Markup:
    if step.error_code is not None:
        return _trouble(step)
    if step.name is StepName.DEPLOY and step.target is None:
        return _no_targets(timeline) if step.status is Status.DONE else ""
    if step.status is Status.WAITING and step.again_at is not None:
        return " ".join(
            (str(_("Begins on %(at)s.", at=moment(step.again_at))), _reason(timeline.renewal))
        ).strip()
    if step.name is StepName.CA and step.status is Status.NOW and is_under_review(timeline.renewal):
        return _awaited(timeline.renewal)
    if step.status is not Status.DONE:
        return ""
    if step.name is StepName.DOMAIN_CHECK and is_carried(timeline.renewal):
        return str(_("Nothing to prove from here: the CA checks the domains in its review."))
    if step.name is StepName.KEY:
        return str(KEY_SOURCES[timeline.renewal.hosting.key_source])
    return str(_DONE_TEXTS.get(step.name, ""))


def _reason(renewal: Renewal) -> str:
    return str(REASONS[renewal.due_reason])


def _awaited(renewal: Renewal) -> Markup:
    """Whom a renewal under review waits for, what the customer has to have ready, and until when: a line each."""
    asked = CHECKLISTS[renewal.hosting.product.validation_type]
    theirs = [str(ITEMS[item].title) for item in asked if item in CUSTOMERS_PART]
    parts = [
        _(
            "The CA is reviewing the request, which our operators carry there. There is nothing to press here."
        ),
        _("The CA may ask you for: %(things)s.", things=format_list(theirs, locale=get_locale())),
        _("Needed by %(day)s, when the certificate in use expires.", day=day(renewal.predecessor.not_after)),
    ]
    return Markup("<br>").join(parts)


def _no_targets(timeline: Timeline) -> str:
    if timeline.renewal.state in (RenewalState.DONE, RenewalState.DEPLOYING):
        return str(
            _("There is no cloud target: download the new certificate and install it on your servers.")
        )
    return ""


def _trouble(step: Step) -> Markup:
    """The error in plain language, the next step, and when it is tried again: a line each."""
    code = step.error_code or ""
    parts = [message_for(code, step.error_params)]
    if code in NEXT_STEPS:
        parts.append(str(NEXT_STEPS[code]))
    if step.again_at is not None:
        parts.append(_("Tried again on %(at)s.", at=moment(step.again_at)))
    return Markup("<br>").join(parts)
