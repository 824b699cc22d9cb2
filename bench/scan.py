"""What a scan costs: with nothing due, whatever is stored; and what each due renewal costs to claim and queue.

Beside it `certbot renew`, which opens every lineage that it keeps.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from flask import Flask

from bench.installation import Backends, backends, installation
from bench.measuring import own_cpu, report
from bench.peers import CertbotScan, certbot_scan
from bench.rows import add_many, make_due, open_shop, put_off
from portal.clock import utc_now
from portal.doorbell import queue
from portal.extensions import db
from portal.queue import QueueName
from portal.services import scanning

SMALL, LARGE, DUE = 10_000, 1_000_000, 10_000
ROUNDS, SCANS = 9, 60
LINEAGES = (100, 1_000)


def cpu_ms(servers: Backends, action: Callable[[], object], times: int) -> tuple[float, float]:
    """CPU milliseconds of one call: of this process, and of the servers that it asks."""
    own, others = own_cpu(), servers.servers_cpu()
    for _ in range(times):
        action()
    return (own_cpu() - own) * 1000 / times, (servers.servers_cpu() - others) * 1000 / times


def nothing_due(servers: Backends, small: Flask, large: Flask) -> dict[str, Any]:
    """Scans of both sizes in turn. `cpu_ms` is the scanning process alone, `with_servers` all that it sets to work."""
    figures: dict[str, list[tuple[float, float]]] = {"small": [], "large": []}
    for _ in range(ROUNDS + 1):
        for name, app in (("small", small), ("large", large)):
            with app.app_context():
                figures[name].append(cpu_ms(servers, lambda: scanning.scan(utc_now()), SCANS))
    own = {name: statistics.median(one for one, _ in rounds[1:]) for name, rounds in figures.items()}
    total = {
        name: own[name] + statistics.mean(other for _, other in rounds[1:])
        for name, rounds in figures.items()
    }
    return {
        "cpu_ms_at_10000": own["small"],
        "cpu_ms_at_1000000": own["large"],
        "ratio": own["large"] / own["small"],
        "with_servers_ms_at_10000": total["small"],
        "with_servers_ms_at_1000000": total["large"],
        "with_servers_ratio": total["large"] / total["small"],
    }


def much_due(servers: Backends, step: int) -> dict[str, Any]:
    """Sweeps over 10,000 due of 1,000,000, to a real Redis; the median and the best of three.

    With a `step` of one they lie together, as renewals do that were made in one day; else scattered over the table.
    """
    walls, own, others = [], [], []
    for number in range(3):
        make_due(DUE, 1 + number * DUE * (step == 1), step, utc_now() - timedelta(minutes=1))
        servers.redis.flush()
        db.session.remove()
        before = own_cpu(), servers.servers_cpu(), time.monotonic()
        swept = scanning.sweep(utc_now())
        walls.append((time.monotonic() - before[2]) * 1e6 / DUE)
        own.append((own_cpu() - before[0]) * 1e6 / DUE)
        others.append((servers.servers_cpu() - before[1]) * 1e6 / DUE)
        jobs = sum(queue(name).count for name in QueueName)
        put_off(utc_now(), utc_now() + timedelta(days=60))
    return {
        "rung": swept,
        "jobs_queued": jobs,
        "us_each": statistics.median(walls),
        "us_each_best": min(walls),
        "cpu_us_each": statistics.median(own),
        "servers_cpu_us_each": statistics.median(others),
    }


def measure(servers: Backends, kind: str) -> dict[str, Any]:
    """Everything on one kind of database."""
    with ExitStack() as stack:
        apps = []
        for name, count in (("small", SMALL), ("large", LARGE)):
            at = stack.enter_context(installation(servers, kind, name))
            started = time.monotonic()
            add_many(open_shop("private", {"subject": "Bench"}, utc_now()), count, utc_now())
            filled = time.monotonic() - started
            db.session.remove()
            apps.append(at.app)
        return {
            "rows_made_in_seconds": filled,
            "nothing_due": nothing_due(servers, apps[0], apps[1]),
            "ten_thousand_due": much_due(servers, 1),
            "ten_thousand_due_scattered": much_due(servers, LARGE // DUE),
        }


def main() -> None:
    """Measure and report."""
    started = time.monotonic()
    with backends("small", "large") as servers:
        figures = {kind: measure(servers, kind) for kind in ("sqlite", "postgresql")}
    peer: CertbotScan | None = certbot_scan(LINEAGES)
    ours = figures["postgresql"]["nothing_due"]["cpu_ms_at_1000000"]
    result: dict[str, Any] = {"nobody_else": "certbot could not be had"} if peer is None else peer.figures
    if peer is not None:
        each = peer.cpu_ms_per_lineage
        result["ours_per_certificate_ms_at_1000000"] = ours / LARGE
        result["certbot_at_1000000_would_be_times_ours"] = each * LARGE / ours
    report("scan", {**figures, "certbot_renew": result}, started)


if __name__ == "__main__":
    main()
