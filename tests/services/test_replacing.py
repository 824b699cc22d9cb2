"""Mass replacement: portions, pace, killing it anywhere, and what is not ours to renew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.renewal import RenewalState
from portal.domain.replacement import ReplacementEvent, ReplacementState
from portal.extensions import db
from portal.models.authority import MassReplacement
from portal.models.certificate import Certificate, Source
from portal.models.history import AuditEntry
from portal.models.hosting import Hosting, Renewal
from portal.services import replacement_pages, replacing
from portal.services.driving import drive

WHY = "the CA must revoke"


@pytest.fixture
def account(factory):
    return factory.ca_account("troubled", secrets={})


@pytest.fixture
def hosted(factory, cast, account, now):
    """Makes hosted certificates of the account, issued an hour ago."""
    product = factory.product(ca_account=account)

    def make(count: int = 1, **hosting) -> list[Certificate]:
        factory.now = now - timedelta(hours=1)
        found = []
        for _ in range(count):
            number = factory.number()
            certificate = factory.certificate(
                cast.organisation,
                names=[f"{number}.example.com"],
                source=Source.ISSUED,
                ca_account=account,
                expires_in=timedelta(days=150),
                with_key=False,
            )
            row = factory.hosting(certificate, product, **hosting)
            if row.state is HostingState.HOSTED:
                factory.renewal(row)
            found.append(certificate)
        return found

    return make


def start(now, per_hour=120, before=None) -> MassReplacement:
    return replacing.start("troubled", before or now, per_hour, WHY, "cli", now)


def run(row, at) -> MassReplacement:
    drive(replacing.KIND, row.id, lambda: at)
    db.session.expire_all()
    return db.session.get_one(MassReplacement, row.id)


def forced() -> int:
    query = select(func.count()).select_from(Renewal).where(Renewal.due_reason == DueReason.REPLACEMENT)
    return db.session.scalar(query) or 0


def refusal(*args) -> str:
    with pytest.raises(DomainError) as caught:
        replacing.start(*args)
    return caught.value.code


def test_a_portion_a_minute_until_all_are_taken_on(hosted, now):
    hosted(5)
    row = start(now)
    assert (row.total, row.started) == (5, 0)
    seen = run(row, now)
    assert (seen.started, seen.next_attempt_at, forced()) == (2, now + timedelta(minutes=1), 2)
    assert run(row, now + timedelta(seconds=30)).started == 2
    assert run(row, now + timedelta(minutes=1)).started == 4
    assert run(row, now + timedelta(minutes=2)).started == 5
    seen = run(row, now + timedelta(minutes=3))
    assert (seen.state, seen.next_attempt_at, seen.finished_at) == (
        ReplacementState.DONE,
        None,
        now + timedelta(minutes=3),
    )
    assert forced() == 5


@pytest.mark.parametrize(
    ("per_hour", "size", "pause"),
    [(6, 1, 600), (60, 1, 60), (90, 1, 40), (150, 2, 48), (6000, 4, 60)],
)
def test_the_pace_is_kept(hosted, now, per_hour, size, pause):
    hosted(4)
    seen = run(start(now, per_hour), now)
    assert (seen.started, seen.next_attempt_at) == (size, now + timedelta(seconds=pause))


def test_those_being_renewed_already_are_counted_and_not_doubled(hosted, session, now):
    busy, *_ = hosted(2)
    renewal = session.scalars(select(Renewal).where(Renewal.predecessor_id == busy.id)).one()
    renewal.state, renewal.next_attempt_at = RenewalState.VALIDATING, now + timedelta(hours=3)
    session.commit()
    seen = run(start(now), now)
    assert (seen.started, session.scalar(select(func.count()).select_from(Renewal))) == (2, 2)
    session.refresh(renewal)
    assert (renewal.state, renewal.next_attempt_at) == (RenewalState.VALIDATING, now)


def test_a_hosting_inside_its_paid_term_is_reopened(hosted, session, now):
    (certificate,) = hosted(state=HostingState.COMPLETED)
    run(start(now), now)
    hosting = session.scalars(select(Hosting).where(Hosting.certificate_id == certificate.id)).one()
    assert hosting.state is HostingState.HOSTED
    assert forced() == 1


def test_what_nobody_hosts_is_named_and_left_alone(factory, cast, account, hosted, now):
    hosted(1)
    hosted(1, state=HostingState.COMPLETED, coverage_ends_at=now - timedelta(days=1))
    factory.certificate(
        cast.organisation, names=["alone.example.com"], source=Source.ISSUED, ca_account=account
    )
    seen = replacing.preview("troubled", now, now)
    assert (seen.total, seen.not_hosted_count) == (1, 2)
    assert "alone.example.com" in {one.name for one in seen.not_hosted}
    assert start(now).total == 1


def test_what_another_account_issued_or_was_issued_later_or_replaced_stays(
    factory, cast, hosted, session, now
):
    _, replaced, later = hosted(3)
    replaced.replaced_at = now
    later.created_at = now + timedelta(minutes=1)
    other = factory.certificate(
        cast.organisation, names=["other.example.com"], ca_account=factory.ca_account()
    )
    factory.renewal(factory.hosting(other))
    session.commit()
    row = start(now, before=now + timedelta(days=3))
    assert (row.total, row.issued_before) == (1, now)
    assert run(row, now).started == 1


def test_pausing_and_resuming(hosted, session, now):
    hosted(3)
    row = start(now, 60)
    run(row, now)
    replacing.steer(row.id, ReplacementEvent.PAUSE, "olga", now)
    seen = run(row, now + timedelta(hours=5))
    assert (seen.state, seen.started, seen.next_attempt_at) == (ReplacementState.PAUSED, 1, None)
    replacing.steer(row.id, ReplacementEvent.RESUME, "olga", now + timedelta(hours=5))
    assert run(row, now + timedelta(hours=5)).started == 2
    with pytest.raises(DomainError, match="transition_refused"):
        replacing.steer(row.id, ReplacementEvent.RESUME, "olga", now)
    actions = session.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == row.id)).all()
    assert sorted(actions) == ["mass_replacement.pause", "mass_replacement.resume", "mass_replacement.start"]


def test_cancelling_leaves_what_was_begun(hosted, now):
    hosted(3)
    row = start(now, 60)
    run(row, now)
    replacing.steer(row.id, ReplacementEvent.CANCEL, "olga", now)
    seen = run(row, now + timedelta(hours=1))
    assert (seen.state, seen.started, seen.finished_at, forced()) == (ReplacementState.CANCELLED, 1, now, 1)
    with pytest.raises(DomainError, match="not_found"):
        replacing.steer("nothing", ReplacementEvent.CANCEL, "olga", now)


def test_what_makes_no_sense_is_refused(hosted, account, now):
    assert refusal("troubled", now, 60, WHY, "cli", now) == "nothing_to_replace"
    assert refusal("nobody", now, 60, WHY, "cli", now) == "ca_account_unknown"
    hosted(1)
    assert refusal("troubled", now, 0, WHY, "cli", now) == "replacement_rate"
    assert refusal("troubled", now, 10**6, WHY, "cli", now) == "replacement_rate"
    assert refusal("troubled", now, 60, " ", "cli", now) == "replacement_without_reason"
    row = start(now)
    assert refusal("troubled", now, 60, WHY, "cli", now) == "replacement_running"
    assert replacing.get_under_way("troubled").id == row.id
    replacing.steer(row.id, ReplacementEvent.CANCEL, "cli", now)
    with pytest.raises(DomainError, match="no_replacement_running"):
        replacing.get_under_way("troubled")


def test_progress_counts_what_is_begun_replaced_and_in_trouble(hosted, session, now):
    first, second, *_ = hosted(4)
    row = run(start(now, 120), now)
    first.replaced_at = now
    stopped = session.scalars(select(Renewal).where(Renewal.predecessor_id == second.id)).one()
    stopped.stopped_at, stopped.error_code = now, "ca_refused"
    session.commit()
    seen = replacement_pages.progress(row, now)
    assert (seen.started, seen.replaced, seen.trouble_count, seen.skipped) == (2, 1, 1, 0)
    assert [one.title for one in seen.troubles] == [second.name]
    assert seen.ends_at == now + timedelta(minutes=1)
    assert not seen.is_over
    assert [one.row.id for one in replacement_pages.list_all(now)] == [row.id]


KILLED = """
import sys
import time
from portal.app import create_core
from portal.clock import utc_now
from portal.services.driving import drive
from portal.services.replacing import KIND
from portal.settings import from_env
with create_core(from_env()).app_context():
    drive(KIND, sys.argv[1], utc_now)
"""


@pytest.mark.parametrize("point", ["before", "after", "recorded"])
def test_it_survives_sigkill_around_a_portion(hosted, settings, session, tmp_path, now, point):
    hosted(5)
    row = start(now, 120)
    environment = {
        "PATH": os.environ["PATH"],
        "PORTAL_DATA_DIR": str(tmp_path),
        "PORTAL_DATABASE_URL": settings.database_url,
        "PORTAL_REDIS_URL": settings.redis_url,
        "PORTAL_SECRET_KEY": "test-secret-key",
        "PORTAL_MASTER_KEYS": f"1:{bytes(range(32)).hex()}",
        "PORTAL_LEASE_SECONDS": "0.1",
        "PORTAL_FAULTS": json.dumps({f"replacement.running.{point}": "kill"}),
    }
    session.commit()
    died = subprocess.run(
        [sys.executable, "-c", KILLED, row.id], env=environment, timeout=60, capture_output=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    session.expire_all()
    taken = 2 if point == "recorded" else 0
    assert (session.get_one(MassReplacement, row.id).started, forced()) == (taken, taken)
    for minutes in range(1, 6):
        time.sleep(0.15)
        row = run(row, now + timedelta(minutes=minutes))
    assert (row.state, row.started, forced()) == (ReplacementState.DONE, 5, 5)
    assert session.scalar(select(func.count()).select_from(Renewal)) == 5
