"""The exhaustive fault runs: `make soak [ARGS="--actions kill --only renewal."]`.

For every boundary of every step of the story, a run of its own on PostgreSQL, Pebble (20 % nonce rejection), Alibaba's
protocol and SMTP, in which the first worker to come there is killed, raises, or sleeps past its lease. Each must end
with one certificate, one deployment and one notice row for each event. The result: bench/results/soak.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.databases import EMPTY_ALL, migrate
from tests.servers import PostgresCluster, RedisServer, postgres_cluster, redis_server
from tests.stories.killed_run import BOUNDARIES, run

RESULT = Path(__file__).parent / "results" / "soak.json"
#: A lease is one second in these runs.
ACTIONS = ("kill", "raise", "sleep:2.5")


@dataclass(frozen=True)
class Case:
    """One run. `error` is empty where every promise was kept."""

    boundary: str
    action: str
    seconds: float
    kills: int
    mails: int
    error: str = ""


def soak_one(cluster: PostgresCluster, redis: RedisServer, boundary: str, action: str) -> Case:
    """The story with one fault in it."""
    with cluster.connect("soak") as connection:
        connection.execute(EMPTY_ALL)
    redis.flush()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        try:
            outcome = run(Path(folder), cluster.url("soak"), redis.url, {boundary: action})
        except (AssertionError, TimeoutError) as error:
            return Case(boundary, action, round(time.monotonic() - started, 1), 0, 0, str(error)[:2000])
    missed = "" if outcome.died_at == (boundary,) else "the fault point was not reached"
    return Case(boundary, action, outcome.seconds, outcome.kills, outcome.mails, missed)


def soak(boundaries: list[str], actions: list[str]) -> list[Case]:
    """Every boundary with every action."""
    cases: list[Case] = []
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres_cluster())
        redis = stack.enter_context(redis_server())
        cluster.create("soak")
        migrate(Path(stack.enter_context(tempfile.TemporaryDirectory())), cluster.url("soak"))
        for action in actions:
            for boundary in boundaries:
                case = soak_one(cluster, redis, boundary, action)
                cases.append(case)
                print(
                    f"{case.boundary:34} {case.action:10} {case.seconds:6.1f} s  {case.error or 'ok'}",
                    flush=True,
                )
    return cases


def write(cases: list[Case], path: Path) -> None:
    """The result, a line a case so that differences can be read."""
    lines = ",\n    ".join(json.dumps(asdict(case)) for case in cases)
    head = {
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "runs": len(cases),
        "failed": len([case for case in cases if case.error]),
    }
    text = json.dumps(head, indent=2)[:-2] + f',\n  "cases": [\n    {lines}\n  ]\n}}\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", nargs="*", default=list(ACTIONS))
    parser.add_argument("--only", default="", help="boundaries that begin with this")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    cases = soak([one for one in BOUNDARIES if one.startswith(options.only)], options.actions)
    write(cases, options.result)
    failed = [case for case in cases if case.error]
    print(f"{len(cases)} runs, {len(failed)} failed; written to {options.result}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
