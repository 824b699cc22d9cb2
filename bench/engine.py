"""How many items a second go through RQ with a database write each: by worker class, items per job, and database.

An item is claimed, its step does nothing, and that is recorded with its history: all by the real engine.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from bench.installation import Backends, Crew, backends, crew, installation
from bench.measuring import own_cpu, progress, report
from bench.rows import Shop, add_hosted, make_ids_due, open_shop
from portal import doorbell
from portal.clock import utc_now
from portal.domain.renewal import TRANSITIONS, RenewalEvent, RenewalState
from portal.extensions import db
from portal.models.history import HistoryEntry
from portal.models.hosting import Renewal
from portal.queue import JobName, ring
from portal.services.operations import Advance, Kind
from tests.servers import wait_until

#: Items per job → how many items are measured, by worker class.
ITEMS = {"simple": {1: 1_000, 50: 10_000, 500: 10_000}, "fork": {1: 200, 50: 3_000, 500: 10_000}}

KIND: Kind[Renewal] = Kind(
    name="renewal",
    model=Renewal,
    transitions=TRANSITIONS,
    steps={RenewalState.WAITING: lambda _row, _now: Advance(RenewalEvent.START, due_at=None)},
    job=JobName.ADVANCE_RENEWALS,
    on_stop=lambda _row, _now: None,
    local=frozenset({RenewalState.WAITING}),
    claimed_at_once=50,
)


def run(servers: Backends, at: Crew, shop: Shop, batch: int, count: int) -> dict[str, float]:
    """Ring for `count` items, `batch` a job, and wait until each is recorded."""
    ids = add_hosted(shop, count, utc_now(), prefix=f"b{batch}-{time.monotonic_ns()}-")
    for start in range(0, count, 10_000):
        make_ids_due(ids[start : start + 10_000], utc_now() - timedelta(seconds=1))
    doorbell.BATCH = batch
    before = at.cpu(), servers.servers_cpu(), own_cpu(), utc_now()
    ring(KIND.job, ids)
    rung = own_cpu() - before[2]
    wait_until(lambda: not _is_any_left(), 120, f"{count} items")
    seconds = (_last_recorded() - before[3]).total_seconds()
    return {
        "items": count,
        "per_second": count / seconds,
        "worker_cpu_us": (at.cpu() - before[0]) * 1e6 / count,
        "servers_cpu_us": (servers.servers_cpu() - before[1]) * 1e6 / count,
        "ringing_cpu_us": rung * 1e6 / count,
    }


def _is_any_left() -> bool:
    """Looked at rarely, so that looking is no part of what is measured."""
    time.sleep(0.3)
    left = db.session.scalar(select(Renewal.id).where(Renewal.next_attempt_at <= utc_now()).limit(1))
    db.session.remove()
    return left is not None


def _last_recorded() -> datetime:
    """When the last item was recorded, as its history says."""
    at: datetime | None = db.session.scalar(select(func.max(HistoryEntry.at)))
    db.session.remove()
    assert at is not None
    return at


def measure(servers: Backends, kind: str) -> list[dict[str, Any]]:
    """A line for each worker class and batch size."""
    lines = []
    with installation(servers, kind, kind) as at:
        shop = open_shop("private", {"subject": "Bench"}, utc_now())
        for worker_class, sizes in ITEMS.items():
            servers.redis.flush()
            options = (worker_class,)
            with crew(at, module="bench.engine_worker", options=options, with_schedule=False) as workers:
                run(servers, workers, shop, 50, 200)
                for batch, count in sizes.items():
                    figures = run(servers, workers, shop, batch, count)
                    lines.append({"worker": worker_class, "items_per_job": batch, **figures})
                    progress(f"{kind} {worker_class} {batch} a job: {figures['per_second']:.0f} a second")
                if died := workers.died():
                    raise RuntimeError(f"{died} ended: {at.log()[-2000:]}")
    return lines


def main() -> None:
    """Measure and report."""
    started = time.monotonic()
    kinds = ("sqlite", "postgresql")
    with backends(*kinds) as servers:
        figures = {kind: measure(servers, kind) for kind in kinds}
    report("engine", {"workers": 2, **figures}, started)


if __name__ == "__main__":
    main()
