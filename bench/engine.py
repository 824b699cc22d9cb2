"""What a scan costs, and what a step costs, on SQLite: CPU time (user + system) as ratios within this run."""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask_migrate import upgrade
from sqlalchemy import insert, text

from portal.app import create_core
from portal.clock import utc_now
from portal.domain.renewal import TRANSITIONS, RenewalEvent, RenewalState
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.queue import JobName
from portal.services.driving import drive
from portal.services.operations import Advance, Kind
from portal.services.ringing import due_ids
from portal.settings import from_env

SMALL, LARGE = 1_000, 100_000
NOW = utc_now()


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def per_call(action: Callable[[], object], times: int, rounds: int = 5) -> float:
    """The median CPU microseconds of one call over some rounds of `times` calls."""
    figures = []
    for _ in range(rounds):
        before = cpu()
        for _ in range(times):
            action()
        figures.append((cpu() - before) / times * 1e6)
    return statistics.median(figures)


def add_waiting(count: int) -> list[str]:
    """That many renewals which fall due in a month; foreign keys are off, so that they need nothing else."""
    db.session.execute(text("PRAGMA foreign_keys = OFF"))
    ids = [uuid.uuid4().hex for _ in range(count)]
    rows: list[dict[str, Any]] = [
        {
            "id": one,
            "organisation_id": "o",
            "hosting_id": one,
            "sequence": 1,
            "predecessor_id": "c",
            "state": RenewalState.WAITING,
            "names": ["example.com"],
            "key_type": "ec-p256",
            "next_attempt_at": NOW + timedelta(days=30),
            "created_at": NOW,
        }
        for one in ids
    ]
    db.session.execute(insert(Renewal), rows)
    db.session.commit()
    return ids


def step_kind() -> Kind[Renewal]:
    """A kind whose only step does nothing: what is left is claim, record and history."""
    nothing = {RenewalState.WAITING: lambda _row, _now: Advance(RenewalEvent.START, due_at=None)}
    return Kind("bench", Renewal, TRANSITIONS, nothing, JobName.ADVANCE_RENEWALS, lambda _row, _now: None)


def measure() -> dict[str, float]:
    """Every figure: microseconds of CPU, and the ratios that mean something."""
    kind, far = step_kind(), NOW + timedelta(days=31)
    add_waiting(SMALL)
    scan_small = per_call(lambda: due_ids(kind, NOW), 500)
    ids = add_waiting(LARGE - SMALL)
    scan_large = per_call(lambda: due_ids(kind, NOW), 500)
    queue = iter(ids)
    step = per_call(lambda: drive(kind, next(queue), lambda: far), 200)
    update = text("UPDATE renewals SET attempts = attempts + 1 WHERE id = :id")

    def bare_update() -> None:
        db.session.execute(update, {"id": next(queue)})
        db.session.commit()

    bare = per_call(bare_update, 200)
    return {
        "scan_us_at_1000_rows": scan_small,
        "scan_us_at_100000_rows": scan_large,
        "scan_ratio_100000_to_1000": scan_large / scan_small,
        "step_us": step,
        "bare_update_us": bare,
        "step_ratio_to_bare_update": step / bare,
    }


def main() -> None:
    """Measure and write bench/results/engine.json."""
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(from_env({"PORTAL_DATA_DIR": folder}), log_json=True)
        with create_core(settings).app_context():
            upgrade()
            figures = {name: round(value, 2) for name, value in measure().items()}
    result = {"python": sys.version.split()[0], "database": "sqlite", **figures}
    path = Path(__file__).parent / "results" / "engine.json"
    path.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
