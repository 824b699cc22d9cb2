"""Five hundred renewals whose validation takes half a minute each, at the private CA: nobody sleeps for them."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import func, select

from bench.installation import Backends, backends, crew, installation
from bench.measuring import percentile, report
from bench.rows import add_hosted, make_ids_due, open_shop
from portal.clock import utc_now
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.services import scanning
from tests.servers import wait_until

COUNT, VALIDATION = 500, 30
ALLOWED = 60.0
CONFIG = {"subject": "Bench", "validation_seconds": str(VALIDATION)}


def measure(servers: Backends, kind: str) -> dict[str, Any]:
    """Two workers and the scheduler, all renewals due at once."""
    with installation(servers, kind, kind) as at:
        ids = add_hosted(open_shop("private", CONFIG, utc_now()), COUNT, utc_now())
        with crew(at) as processes:
            before, servers_before = processes.cpu(), servers.servers_cpu()
            began, started = utc_now(), time.monotonic()
            make_ids_due(ids, began)
            scanning.sweep(began)
            wait_until(lambda: _undone() == 0, 300, f"{COUNT} renewals")
            seconds = time.monotonic() - started
            cpu, servers_cpu = processes.cpu() - before, servers.servers_cpu() - servers_before
        done = db.session.scalars(select(Renewal.issued_at).where(Renewal.id.in_(ids)))
        waits = [(one - began).total_seconds() for one in done if one is not None]
    return {
        "seconds": seconds,
        "is_within_60_s": seconds <= ALLOWED,
        "issued_p50_s": percentile(waits, 0.5),
        "issued_p95_s": percentile(waits, 0.95),
        "issued_last_s": max(waits),
        "cpu_ms_each": cpu * 1000 / COUNT,
        "busy_part_of_two_cores": cpu / seconds / 2,
        "servers_cpu_ms_each": servers_cpu * 1000 / COUNT,
    }


def _undone() -> int:
    query = select(func.count()).where(Renewal.sequence == 1, Renewal.finished_at.is_(None))
    count = int(db.session.scalar(query) or 0)
    db.session.remove()
    time.sleep(0.1)
    return count


def main() -> None:
    """Measure and report."""
    started = time.monotonic()
    kinds = ("sqlite", "postgresql")
    with backends(*kinds) as servers:
        figures = {kind: measure(servers, kind) for kind in kinds}
    report("waiting", {"renewals": COUNT, "validation_s": VALIDATION, "workers": 2, **figures}, started)


if __name__ == "__main__":
    main()
