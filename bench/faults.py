"""The long forms of the fault tests: `python -m bench.faults [--only quota schedulers]`, a part of `make soak`.

 - schedulers: 9,000 due rows, two schedulers, three workers: one effect each (fault 9);
 - quota: 10,000 renewals due in one day at an account with Let's Encrypt's limit of 300 orders in three hours: never
   more than that, and all in time (fault 35). Hours of simulated time; `--count` takes fewer.
The result: bench/results/faults.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from portal import logs
from portal.adapters.key_vault import KeyVault
from portal.app import create_core
from portal.extensions import db
from tests.databases import bare_settings, migrate, open_app
from tests.factories import Factory
from tests.faults.test_load import renew_within_quota
from tests.faults.test_redis import expire_with_two_schedulers
from tests.faults.world import Clock, World
from tests.servers import postgres_cluster, redis_server

RESULT = Path(__file__).parent / "results" / "faults.json"
NOBODY = "http://127.0.0.1:9"


@contextmanager
def world() -> Iterator[World]:
    """An installation on PostgreSQL with people in it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        cluster = stack.enter_context(postgres_cluster())
        redis = stack.enter_context(redis_server())
        cluster.create("faults")
        migrate(folder, cluster.url("faults"))
        settings = replace(bare_settings(folder, cluster.url("faults")), redis_url=redis.url, base_url=NOBODY)
        app = stack.enter_context(open_app(create_core(settings)))
        factory = Factory(
            db.session, KeyVault(settings.master_keys), datetime.now(UTC).replace(microsecond=0)
        )
        yield World(app, factory, factory.cast(), settings, folder, Clock(factory.now))


RUNS: dict[str, tuple[Callable[[World, int], None], int]] = {
    "schedulers": (lambda one, count: expire_with_two_schedulers(one, count, timeout=600), 9_000),
    "quota": (lambda one, count: renew_within_quota(one, count, capacity=300), 10_000),
}


def run(name: str, count: int | None) -> dict[str, object]:
    """One run; `error` is empty where the promises were kept."""
    work, usual = RUNS[name]
    wanted, started, error = count or usual, time.monotonic(), ""
    with world() as one:
        try:
            work(one, wanted)
        except (AssertionError, TimeoutError) as failure:
            error = str(failure)[:2000] or type(failure).__name__
    seconds = round(time.monotonic() - started, 1)
    print(f"{name:12} {wanted:6}  {seconds:8.1f} s  {error or 'ok'}", flush=True)
    return {"name": name, "rows": wanted, "seconds": seconds, "error": error}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--count", type=int, help="rows, instead of the usual number")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    logs.configure(as_json=True)
    cases = [run(name, options.count) for name in options.only]
    head = {
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cases": cases,
    }
    options.result.parent.mkdir(parents=True, exist_ok=True)
    options.result.write_text(json.dumps(head, indent=2) + "\n", "utf-8")
    return 1 if any(case["error"] for case in cases) else 0


if __name__ == "__main__":
    raise SystemExit(main())
