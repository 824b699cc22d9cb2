"""How an alarm is shown: its title, what it is about, what to do, and where to go."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import url_for
from flask_babel import gettext as _

from portal.domain.alarms import SEVERITY, AlarmKind
from portal.services.alarm_board import AlarmView
from portal.web.messages import message_for

#: By severity.
TONES = ("bad", "bad", "warn")
ICONS = ("alert-circle", "alert-triangle", "alert-triangle")

#: Where the row is that an alarm is about, by its table.
_LINKS: Mapping[str, Callable[[str], str]] = {
    "ca_accounts": lambda _id: url_for("operator.authorities"),
    "manual_orders": lambda row_id: url_for("operator.manual_order", order_id=row_id),
    "renewals": lambda _id: "#flight",
}


def title(kind: AlarmKind) -> str:
    return message_for(f"alarm_{kind.value}")


def mending(kind: AlarmKind) -> str:
    """What an operator does about it."""
    return message_for(f"mend_{kind.value}")


def tone(kind: AlarmKind) -> str:
    return TONES[SEVERITY[kind]]


def icon(kind: AlarmKind) -> str:
    return ICONS[SEVERITY[kind]]


def about(alarm: AlarmView) -> list[str]:
    """What is known of it, in short phrases."""
    params = alarm.params
    phrases = [str(params["name"])] if params.get("name") else []
    if "days" in params:
        phrases.append(_("expires in %(days)s days", days=params["days"]))
    if "minutes_apart" in params:
        phrases.append(_("%(minutes)s minutes apart", minutes=params["minutes_apart"]))
    if "count" in params:
        phrases.append(_("%(count)s in all", count=params["count"]))
    if params.get("error_code"):
        phrases.append(message_for(params["error_code"], params.get("error_params") or {}))
    return phrases


def link(alarm: AlarmView) -> str | None:
    """The page of what it is about; None where there is none."""
    to = _LINKS.get(alarm.subject_type)
    return to(alarm.subject_id) if to is not None and alarm.subject_id else None
