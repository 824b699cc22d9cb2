"""A notice as a mail: multipart, in the recipient's language and time zone, with links that are made now.

`templates/emails/<kind>.txt` holds the words of a kind; `base.txt` and `base.html` lay them out, each in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any
from zoneinfo import ZoneInfo

from babel import dates, numbers
from css_inline import CSSInliner
from flask import current_app
from flask_babel import force_locale

from portal.domain.errors import DomainError
from portal.domain.money import Money
from portal.domain.notices import NoticeKind
from portal.extensions import db
from portal.models.account import Invitation, User
from portal.models.notice import Notice
from portal.services import tokens
from portal.settings import Settings

_INLINER = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
_LANGUAGE_TAGS = {"zh_Hans": "zh-Hans", "en": "en"}


@dataclass(frozen=True)
class Words:
    """What a mail says. `facts` are label and value; `action` is a button's label and address."""

    subject: str
    title: str
    lead: str
    tone: str
    facts: tuple[tuple[str, str], ...]
    action: tuple[str, str]
    note: str


def compose(notice: Notice, settings: Settings, now: datetime) -> EmailMessage:
    """The mail of a notice.

    Raises DomainError: notice_outdated (what it is about has changed or gone), recipient_invalid.
    """
    with force_locale(notice.locale):
        words = _words(notice, settings)
        context = {
            "words": words,
            "base_url": settings.base_url,
            "recipient": notice.recipient,
            "language": _LANGUAGE_TAGS.get(notice.locale, "en"),
        }
        text = _render("base.txt", context)
        html = _INLINER.inline(_render("base.html", context))
    message = _envelope(notice, settings, now)
    message["Subject"] = " ".join(words.subject.split())
    message.set_content(text.strip() + "\n", charset="utf-8")
    message.add_alternative(html, subtype="html", charset="utf-8")
    message["Content-Language"] = context["language"]
    return message


def _envelope(notice: Notice, settings: Settings, now: datetime) -> EmailMessage:
    message = EmailMessage()
    name, sender = parseaddr(settings.mail_from)
    try:
        message["From"] = Address(name, addr_spec=sender)
        message["To"] = Address(addr_spec=notice.recipient)
    except (ValueError, HeaderParseError, IndexError):
        raise DomainError("recipient_invalid") from None
    message["Date"] = now
    message["Message-ID"] = notice.message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    return message


def _words(notice: Notice, settings: Settings) -> Words:
    template = current_app.jinja_env.get_template(f"emails/{notice.kind.value}.txt")
    said: Any = template.make_module(_vocabulary(notice, settings))
    facts = [(str(label), str(value)) for label, value in getattr(said, "facts", ()) if value]
    return Words(
        subject=said.subject,
        title=getattr(said, "title", said.subject),
        lead=said.lead,
        tone=getattr(said, "tone", "info"),
        facts=tuple(facts),
        action=said.action,
        note=getattr(said, "note", ""),
    )


def _vocabulary(notice: Notice, settings: Settings) -> dict[str, Any]:
    """What the words of a kind may use."""
    zone = ZoneInfo(notice.timezone)
    explain: Callable[[str, Mapping[str, Any]], str] = current_app.extensions["explain"]

    def day(moment: str) -> str:
        value = datetime.fromisoformat(moment).astimezone(zone)
        return str(dates.format_date(value, "long", locale=notice.locale))

    def moment(moment: str) -> str:
        value = datetime.fromisoformat(moment)
        return str(dates.format_datetime(value, "yyyy-MM-dd HH:mm (ZZZZ)", zone, locale=notice.locale))

    def money(fen: int, currency: str) -> str:
        return str(numbers.format_currency(Money(fen).decimal(), currency, locale=notice.locale))

    return {
        "p": {name: _one_line(value) for name, value in notice.params.items()},
        "about": notice.subject_type,
        "recipient": notice.recipient,
        "link": lambda path: settings.base_url + path,
        "token_link": settings.base_url + _token_path(notice),
        "is_for_operator": notice.organisation_id is None,
        "day": day,
        "moment": moment,
        "money": money,
        "explain": explain,
    }


def _one_line(value: Any) -> Any:
    """Names that people chose must not look like paragraphs of ours."""
    return " ".join(value.split()) if isinstance(value, str) else value


def _token_path(notice: Notice) -> str:
    """Where the link of an account mail leads; made when the mail is, and only for whom it is about."""
    if notice.kind is NoticeKind.INVITATION:
        invitation = db.session.get(Invitation, notice.subject_id)
        if invitation is None or invitation.accepted_at or invitation.withdrawn_at:
            raise DomainError("notice_outdated")
        return f"/invitations/{tokens.invitation_token(invitation)}"
    if notice.kind not in (NoticeKind.CONFIRM_EMAIL, NoticeKind.RESET_PASSWORD):
        return ""
    user = db.session.get(User, notice.subject_id)
    if user is None or user.email != notice.recipient:
        raise DomainError("notice_outdated")
    if notice.kind is NoticeKind.CONFIRM_EMAIL:
        return f"/confirm/{tokens.confirmation_token(user)}"
    return f"/reset/{tokens.reset_token(user)}"


def _render(name: str, context: Mapping[str, Any]) -> str:
    return current_app.jinja_env.get_template(f"emails/{name}").render(context)
