"""Mails: every kind in both languages, links for the right person alone, headers that nobody can inject into."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.domain.errors import DomainError
from portal.domain.notices import NoticeKind, NoticeState
from portal.models.account import Invitation, Role
from portal.models.notice import Notice
from portal.services import tokens
from portal.services.composing import compose

RENEWAL: dict[str, Any] = {
    "name": "shop.example.com",
    "names": ["shop.example.com", "www.shop.example.com"],
    "certificate_id": "c" * 32,
    "renewal_id": "a" * 32,
    "old_serial": "0A11",
    "old_not_after": "2026-12-03T17:00:00+00:00",
    "new_serial": "0B22",
    "new_not_after": "2027-06-11T03:00:00+00:00",
    "targets": ["CDN · shop.example.com"],
    "next_renewal": "2027-05-12T03:00:00+00:00",
}
FAILURE = RENEWAL | {
    "step": "ordered",
    "error_code": "certificate_expired",
    "error_params": {"on": "2026-12-04"},
}
TERM = RENEWAL | {"coverage_ends_at": "2027-12-03T17:00:00+00:00"}
ALARMS: dict[str, Any] = {
    "alarms": [
        {
            "kind": "renewal_late",
            "params": {
                "name": "shop.example.com",
                "days": 7,
                "not_after": "2026-12-03T17:00:00+00:00",
                "error_code": "certificate_expired",
                "error_params": {"on": "2026-12-04"},
            },
            "raised_at": "2026-11-26T03:00:00+00:00",
        },
        {"kind": "scan_silent", "params": {"minutes": 3}, "raised_at": "2026-11-26T03:00:00+00:00"},
    ],
    "count": 25,
    "rungs": {},
}
PARAMS: dict[NoticeKind, tuple[str, dict[str, Any]]] = {
    NoticeKind.CONFIRM_EMAIL: ("users", {}),
    NoticeKind.RESET_PASSWORD: ("users", {}),
    NoticeKind.INVITATION: ("invitations", {"organisation": "Shop", "inviter": "alice@example.com"}),
    NoticeKind.ORDER_PAID: ("orders", {"number": "P1", "total_fen": 54_000, "currency": "CNY"}),
    NoticeKind.HOSTING_TURNED_ON: ("hostings", TERM),
    NoticeKind.RENEWED: ("certificates", RENEWAL),
    NoticeKind.PLEASE_INSTALL: ("certificates", RENEWAL | {"targets": [], "next_renewal": None}),
    NoticeKind.NOT_LIVE: (
        "deployments",
        FAILURE | {"target": "CDN · shop.example.com", "served_sha256": "ab"},
    ),
    NoticeKind.ACTION_REQUIRED: ("renewals", FAILURE),
    NoticeKind.HOSTING_FAILED: ("hostings", FAILURE),
    NoticeKind.TERM_ENDING: ("hostings", TERM),
    NoticeKind.ALARM: ("alarms", ALARMS),
    NoticeKind.REVOKED: (
        "certificates",
        RENEWAL | {"serial": "0A11", "reason": 1, "was_asked_for": False, "is_replaced": True},
    ),
}


@pytest.fixture
def invitation(factory, cast, now) -> Invitation:
    return factory.add(
        Invitation(
            organisation_id=cast.organisation.id,
            email=cast.alice.email,
            role=Role.VIEWER,
            locale="en",
            invited_by_id=cast.alice.id,
            created_at=now,
            expires_at=now + timedelta(days=7),
        )
    )


@pytest.fixture
def notice(cast, invitation, now):
    """Makes a notice to Alice that is not stored."""

    def make(kind: NoticeKind, locale: str = "en", **changes: Any) -> Notice:
        about, params = PARAMS[kind]
        subjects = {"users": cast.alice.id, "invitations": invitation.id}
        values: dict[str, Any] = {
            "kind": kind,
            "subject_type": about,
            "subject_id": subjects.get(about, "5" * 32),
            "organisation_id": cast.organisation.id,
            "recipient": cast.alice.email,
            "locale": locale,
            "timezone": "Asia/Shanghai",
            "params": params,
            "state": NoticeState.PENDING,
            "message_id": "<abc@portal.example>",
            "created_at": now,
        }
        return Notice(**(values | changes))

    return make


def parts(message) -> tuple[str, str]:
    return message.get_body("plain").get_content(), message.get_body("html").get_content()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("locale", ["zh_Hans", "en"])
@pytest.mark.parametrize("kind", list(NoticeKind))
def test_every_kind_has_both_parts_with_one_link(notice, settings, now, kind, locale):
    message = compose(notice(kind, locale), settings, now)
    text, html = parts(message)
    assert message.get_content_type() == "multipart/alternative"
    assert message["Content-Language"] == {"zh_Hans": "zh-Hans", "en": "en"}[locale]
    link = next(line for line in text.splitlines() if line.startswith(f"{settings.base_url}/"))
    assert f'href="{link}"' in html
    assert "<" not in text
    assert "<script" not in html
    assert "src=" not in html  # nothing is loaded from anywhere
    assert "None" not in text.replace("None: the paid term", "")
    assert "undefined" not in text.lower()


def test_the_headers_say_what_the_mail_is(notice, settings, now):
    message = compose(notice(NoticeKind.RENEWED), settings, now)
    assert message["Message-ID"] == "<abc@portal.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == now
    assert str(message["From"]) == settings.mail_from
    assert message["Subject"] == "Renewed and live: shop.example.com"


def test_renewed_says_where_and_what_and_when_again(notice, settings, now):
    text, html = parts(compose(notice(NoticeKind.RENEWED), settings, now))
    for word in ("CDN · shop.example.com", "0A11", "0B22", "June 11, 2027", "May 12, 2027"):
        assert word in text
        assert word in html


def test_days_are_those_of_the_recipients_zone(notice, settings, now):
    chinese, _ = parts(compose(notice(NoticeKind.TERM_ENDING, "zh_Hans"), settings, now))
    assert "2027年12月4日" in chinese
    american, _ = parts(compose(notice(NoticeKind.TERM_ENDING, timezone="America/New_York"), settings, now))
    assert "December 3, 2027" in american


def test_the_styles_are_inline_and_the_dark_ones_kept(notice, settings, now):
    _, html = parts(compose(notice(NoticeKind.RENEWED), settings, now))
    assert 'class="button"' in html
    assert 'style="' in html
    assert "prefers-color-scheme: dark" in html


def test_operators_are_led_to_their_page(notice, settings, now):
    text, _ = parts(compose(notice(NoticeKind.ACTION_REQUIRED, organisation_id=None), settings, now))
    assert f"{settings.base_url}/operator\n" in text


@pytest.mark.parametrize(
    ("about", "params", "word"),
    [
        ("orders", {"number": "P1", "error_code": "payment_refused", "error_params": {}}, "P1"),
        ("orders", {"number": "P1", "error_code": None, "error_params": None}, "P1"),
        ("deployments", FAILURE | {"target": "CDN · shop"}, "CDN · shop"),
        (
            "notices",
            {
                "notice_kind": "renewed",
                "recipient": "x@example.com",
                "error_code": "mail_refused",
                "error_params": {},
            },
            "x@example.com",
        ),
    ],
)
def test_action_required_speaks_of_what_it_is_about(notice, settings, now, about, params, word):
    made = notice(NoticeKind.ACTION_REQUIRED, subject_type=about, params=params, organisation_id=None)
    text, html = parts(compose(made, settings, now))
    assert word in text
    assert word in html


def test_a_name_can_neither_inject_a_header_nor_markup_nor_a_paragraph(notice, settings, now):
    evil = "Shop\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>"
    made = notice(NoticeKind.INVITATION, params={"organisation": evil, "inviter": "a@example.com"})
    message = compose(made, settings, now)
    text, html = parts(message)
    assert message["Bcc"] is None
    assert "\n" not in str(message["Subject"])
    assert "<script>" not in html
    assert "\nBcc" not in text


@pytest.mark.parametrize("recipient", ["alice@example.com\r\nBcc: x@example.com", "nobody", "", "a@b, c@d"])
def test_an_address_that_is_none_is_refused(notice, settings, now, recipient):
    with pytest.raises(DomainError, match="recipient_invalid"):
        compose(notice(NoticeKind.RENEWED, recipient=recipient), settings, now)


# Links with tokens


def link_in(message, settings, path):
    text, _ = parts(message)
    return next(line for line in text.splitlines() if line.startswith(settings.base_url + path)).rpartition(
        "/"
    )[2]


def test_the_links_of_account_mails_work(notice, settings, now, cast, invitation):
    confirm = link_in(compose(notice(NoticeKind.CONFIRM_EMAIL), settings, now), settings, "/confirm/")
    assert tokens.read(tokens.CONFIRM_EMAIL, confirm, 60) == [cast.alice.id, cast.alice.email]
    reset = link_in(compose(notice(NoticeKind.RESET_PASSWORD), settings, now), settings, "/reset/")
    assert tokens.read(tokens.RESET_PASSWORD, reset, 60)[0] == cast.alice.id
    invited = link_in(compose(notice(NoticeKind.INVITATION), settings, now), settings, "/invitations/")
    assert tokens.read(tokens.INVITATION, invited, 60) == [invitation.id]


@pytest.mark.parametrize("kind", [NoticeKind.CONFIRM_EMAIL, NoticeKind.RESET_PASSWORD])
def test_a_token_goes_to_nobody_but_its_user(notice, settings, now, kind):
    with pytest.raises(DomainError, match="notice_outdated"):
        compose(notice(kind, recipient="old-address@example.com"), settings, now)
    with pytest.raises(DomainError, match="notice_outdated"):
        compose(notice(kind, subject_id="0" * 32), settings, now)


@pytest.mark.parametrize("closed", ["accepted_at", "withdrawn_at"])
def test_a_closed_invitation_is_not_sent(notice, settings, now, session, invitation, closed):
    setattr(invitation, closed, datetime.now(UTC))
    session.commit()
    with pytest.raises(DomainError, match="notice_outdated"):
        compose(notice(NoticeKind.INVITATION), settings, now)
