from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from portal.domain.hosting import (
    TURN_ON_CHECKS,
    Candidate,
    CertificateState,
    HostingState,
    Standing,
    certificate_state,
    opens_at,
    reason_against,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def candidate(expires_in: timedelta = 10 * DAY, **facts: bool) -> Candidate:
    return Candidate(NOW + expires_in - 199 * DAY, NOW + expires_in, **facts)


def code_against(one: Candidate, window_days: int = 15) -> str | None:
    reason = reason_against(one, window_days, NOW)
    return reason.code if reason else None


@pytest.mark.parametrize(
    ("expires_in",       "window_days", "code"),
    [
        (10 * DAY,        15,            None),
        (15 * DAY,        15,            None),
        (15 * DAY + SECOND, 15,          "window_not_open"),
        (45 * DAY,        45,            None),
        (46 * DAY,        45,            "window_not_open"),
        (398 * DAY,       0,             None),
        (SECOND,          15,            None),
        (timedelta(0),    15,            "certificate_expired"),
        (timedelta(0),    0,             "certificate_expired"),
        (-10 * DAY,       15,            "certificate_expired"),
    ],
)  # fmt: skip
def test_hosting_can_be_turned_on_inside_the_window_alone(expires_in, window_days, code):
    assert code_against(candidate(expires_in), window_days) == code


@pytest.mark.parametrize(
    ("facts",                                     "code"),
    [
        ({"is_hosted": True},                      "already_hosted"),
        ({"is_replaced": True},                    "certificate_replaced"),
        ({"is_revoked": True},                     "certificate_revoked"),
        ({"is_hosted": True, "is_revoked": True},  "already_hosted"),
        ({"is_replaced": True, "is_revoked": True}, "certificate_replaced"),
    ],
)  # fmt: skip
def test_the_most_telling_reason_comes_first(facts, code):
    assert code_against(candidate(-DAY, **facts)) == code


def test_each_check_has_one_reason_of_its_own():
    worst = candidate(100 * DAY, is_hosted=True, is_replaced=True, is_revoked=True)
    reasons = [check(worst, 15, NOW) for check in TURN_ON_CHECKS] + [
        check(candidate(-DAY), 15, NOW) for check in TURN_ON_CHECKS
    ]
    codes = [reason.code for reason in reasons if reason]
    assert len(codes) == len(set(codes)) == len(TURN_ON_CHECKS)


def test_a_refusal_before_the_window_says_when_it_opens():
    reason = reason_against(candidate(20 * DAY), 15, NOW)
    assert reason.params == {"opens_on": "2026-11-29", "days": 15}


def test_a_refusal_after_expiry_says_when_that_was():
    assert reason_against(candidate(-DAY), 15, NOW).params == {"on": "2026-11-23"}


def test_a_window_of_no_days_is_always_open():
    assert opens_at(NOW, 0) is None
    assert opens_at(NOW, 15) == NOW - 15 * DAY


FRESH = Standing(NOW - DAY, NOW + 198 * DAY, is_uploaded=True)
LATE = Standing(NOW - 189 * DAY, NOW + 10 * DAY, is_uploaded=True)
OVER = Standing(NOW - 200 * DAY, NOW, is_uploaded=True)
HOSTED, FAILED = HostingState.HOSTED, HostingState.FAILED


@pytest.mark.parametrize(
    ("standing",                                             "state"),
    [
        (FRESH,                                               CertificateState.UPLOADED),
        (replace(FRESH, is_uploaded=False),                   CertificateState.ISSUED),
        (LATE,                                                CertificateState.EXPIRING),
        (replace(LATE, is_replaced=True),                     CertificateState.UPLOADED),
        (replace(LATE, hosting=HOSTED),                       CertificateState.HOSTED),
        (replace(LATE, hosting=HostingState.COMPLETED),       CertificateState.EXPIRING),
        (replace(FRESH, hosting=HostingState.CANCELLED),      CertificateState.UPLOADED),
        (replace(FRESH, hosting=HOSTED, needs_action=True),   CertificateState.ACTION_REQUIRED),
        (replace(FRESH, hosting=FAILED, needs_action=True),   CertificateState.HOSTING_FAILED),
        (OVER,                                                CertificateState.EXPIRED),
        (replace(OVER, hosting=HOSTED, needs_action=True),    CertificateState.EXPIRED),
        (replace(OVER, hosting=FAILED, is_revoked=True),      CertificateState.REVOKED),
        (replace(FRESH, hosting=HOSTED, is_revoked=True),     CertificateState.REVOKED),
    ],
)  # fmt: skip
def test_the_badge_says_the_most_pressing_truth(standing, state):
    assert certificate_state(standing, NOW) is state


def test_expiring_begins_with_the_renewal_lead():
    assert certificate_state(FRESH, FRESH.not_after - 30 * DAY - SECOND) is CertificateState.UPLOADED
    assert certificate_state(FRESH, FRESH.not_after - 30 * DAY) is CertificateState.EXPIRING
