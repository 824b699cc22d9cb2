"""Renewing one name each against one Pebble: our whole pipeline, certbot, lego and bare loops, in one run.

Ours is the real thing: worker processes, RQ, database, sealed keys, history. Its CPU is that of the workers, the
scheduler and the ringing; the servers' (PostgreSQL, Redis) is given beside it. Peers run one after another.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bench.installation import Backends, Crew, backends, crew, installation
from bench.measuring import debian_version, own_cpu, percentile, report
from bench.pebbles import ca_config, running_pebble
from bench.peers import Certbot, Cost, Lego, certbot_program, cost_of, version_of
from bench.rows import Shop, add_hosted, make_ids_due, open_shop
from portal.clock import utc_now
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.services import scanning
from tests.pebble import Pebble
from tests.servers import wait_until

WARM, SINGLES, MANY, MANY_RSA, LOOP = 20, 40, 400, 300, 300
LEGO, CERTBOT = 20, 8
P256, RSA = "ec-p256", "rsa-2048"


def run_all(ids: Sequence[str], timeout: float = 300) -> tuple[float, float]:
    """Make these due, ring as a scan does, and wait until all are done: the seconds, and the CPU of ringing."""
    make_ids_due(ids, utc_now())
    before, started = own_cpu(), utc_now()
    scanning.sweep(started)
    ringing = own_cpu() - before
    undone = select(Renewal.id).where(Renewal.id.in_(ids), Renewal.finished_at.is_(None)).limit(1)
    wait_until(lambda: _read_rarely(undone) is None, timeout, f"{len(ids)} renewals")
    last = _read(select(func.max(Renewal.finished_at)).where(Renewal.id.in_(ids)))
    return (last - started).total_seconds(), ringing


def _read(query: Any) -> Any:
    value = db.session.scalar(query)
    db.session.remove()
    return value


def _read_rarely(query: Any) -> Any:
    """So that looking is no part of what is measured."""
    time.sleep(0.25)
    return _read(query)


def latency_ms(renewal_id: str) -> float:
    """From becoming due (and rung for) until issued."""
    issued = select(Renewal.issued_at).where(Renewal.id == renewal_id)
    make_ids_due([renewal_id], utc_now())
    started = time.monotonic()
    scanning.scan(utc_now())
    while _read(issued) is None:
        if time.monotonic() - started > 60:
            raise TimeoutError("a single renewal took more than a minute")
        time.sleep(0.002)
    return (time.monotonic() - started) * 1000


def many(servers: Backends, at: Crew, shop: Shop, count: int, key_type: str) -> dict[str, float]:
    """What each of many costs, and how many a second."""
    ids = add_hosted(shop, count, utc_now(), key_type=key_type, prefix=f"many-{key_type}-")
    before = at.cpu(), servers.servers_cpu()
    seconds, ringing = run_all(ids)
    return {
        "cpu_ms": (at.cpu() - before[0] + ringing) * 1000 / count,
        "servers_cpu_ms": (servers.servers_cpu() - before[1]) * 1000 / count,
        "per_second": count / seconds,
    }


def ours(servers: Backends, kind: str, ca: Pebble) -> dict[str, Any]:
    """The pipeline with two workers on one kind of database."""
    with installation(servers, kind, kind) as at:
        shop = open_shop("acme", ca_config(ca), utc_now())
        with crew(at) as processes:
            run_all(add_hosted(shop, WARM, utc_now(), prefix="warm"))
            singles = add_hosted(shop, SINGLES, utc_now(), prefix="single")
            waits = [latency_ms(one) for one in singles]
            figures: dict[str, Any] = many(servers, processes, shop, MANY, P256)
            figures["rsa"] = many(servers, processes, shop, MANY_RSA, RSA)
            if died := processes.died():
                raise RuntimeError(f"{died} ended: {at.log()[-2000:]}")
    figures["single_p50_ms"] = statistics.median(waits)
    figures["single_p95_ms"] = percentile(waits, 0.95)
    return figures


def loops(ca: Pebble, name: str, count: int, key_type: str, processes: int = 1) -> Cost:
    """So many processes of a bare loop at once: CPU each, and the rate of all of them."""
    environment = {"DIRECTORY_URL": ca.directory_url, "CA_BUNDLE": str(ca.ca_bundle_path), "PATH": ""}
    command = [sys.executable, "-m", "bench.loops", name, str(count // processes), key_type]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    answers = [json.loads(process.communicate(timeout=300)[0]) for process in running]
    return Cost(statistics.mean(one["cpu_ms"] for one in answers), sum(one["per_second"] for one in answers))


def lego(ca: Pebble) -> Cost:
    """lego, an account of its own, one certificate after another."""
    with tempfile.TemporaryDirectory(prefix="bench-lego-") as folder:
        program = Lego(Path(folder), ca)
        program.issue("first.bench.example")
        return cost_of(lambda number: program.issue(f"lego{number}.bench.example"), LEGO)


def certbot(ca: Pebble, program: Path) -> Cost:
    """certbot, likewise."""
    with tempfile.TemporaryDirectory(prefix="bench-certbot-") as folder:
        one = Certbot(program, Path(folder), ca)
        one.register()
        return cost_of(lambda number: one.issue(f"certbot{number}.bench.example"), CERTBOT)


def undisturbed(ca: Pebble, measure: Callable[[Pebble], Cost]) -> Cost:
    """Measure; anew where the watchdog had to restart Pebble meanwhile. Raises what went wrong without that."""
    while True:
        restarts = ca.restarts
        try:
            cost = measure(ca)
        except (RuntimeError, ValueError):
            if ca.restarts == restarts:
                raise
            continue
        if ca.restarts == restarts:
            return cost


def peers(ca: Pebble) -> dict[str, Cost]:
    """Everybody else, one after another."""
    wanted: dict[str, Callable[[Pebble], Cost]] = {
        "minimal_loop": lambda ca: loops(ca, "minimal", LOOP, P256),
        "acme_loop": lambda ca: loops(ca, "acme", LOOP // 2, P256),
        "rsa_loop": lambda ca: loops(ca, "minimal", MANY_RSA // 2, RSA),
        "rsa_loop_2_processes": lambda ca: loops(ca, "minimal", MANY_RSA, RSA, 2),
    }
    if shutil.which("lego"):
        wanted["lego"] = lego
    if (program := certbot_program()) is not None:
        wanted["certbot"] = lambda ca: certbot(ca, program)
    return {name: undisturbed(ca, measure) for name, measure in wanted.items()}


def compared(figures: dict[str, Any], found: dict[str, Cost]) -> dict[str, float]:
    """How ours stands to everybody else; above one is better for rates, and for CPU it is theirs by ours."""
    ratios = {}
    for name in ("certbot", "lego", "acme_loop", "minimal_loop"):
        if name in found:
            ratios[f"cpu_of_{name}_by_ours"] = found[name].cpu_ms / figures["cpu_ms"]
            ratios[f"rate_ours_by_{name}"] = figures["per_second"] / found[name].per_second
    for name in ("rsa_loop", "rsa_loop_2_processes"):
        ratios[f"rate_ours_by_{name}"] = figures["rsa"]["per_second"] / found[name].per_second
    return ratios


def main() -> None:
    """Measure and report."""
    started = time.monotonic()
    kinds = ("sqlite", "postgresql")
    with running_pebble() as ca, backends(*kinds) as servers:
        figures: dict[str, Any] = {kind: ours(servers, kind, ca) for kind in kinds}
        found = peers(ca)
        restarts = ca.restarts
    for kind in kinds:
        figures[kind]["ratios"] = compared(figures[kind], found)
    figures["peers"] = {name: vars(cost) for name, cost in found.items()}
    program = certbot_program()
    figures["peers_versions"] = {
        "certbot": version_of(program) if program else "could not be had",
        "lego": debian_version("lego") if "lego" in found else "not installed",
        "pebble": debian_version("pebble"),
    }
    figures["pebble_restarts"] = restarts
    report("renewal", figures, started)


if __name__ == "__main__":
    main()
