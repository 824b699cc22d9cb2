"""CPU time (user + system), what this was measured with, and where a result goes.

Absolute figures differ by a third from run to run: every result carries a calibration, and ratios are made within it.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.servers import ServerError, find_program

RESULTS = Path(__file__).parent / "results"
LIBRARIES = (
    "flask", "sqlalchemy", "psycopg", "redis", "rq", "rq-scheduler", "cryptography", "acme", "requests", "urllib3",
)  # fmt: skip
_TICKS = os.sysconf("SC_CLK_TCK")


def own_cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def children_cpu() -> float:
    """CPU seconds of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of(pids: Iterable[int]) -> float:
    """CPU seconds of running processes so far, with those of their children that have ended (proc(5))."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def children_of(pid: int) -> list[int]:
    """The processes that `pid` started and that live."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text("utf-8").split()
    ]


def calibration_ms() -> float:
    """CPU milliseconds of a fixed loop: how fast this machine was just now."""
    figures = []
    for _ in range(5):
        before, total = own_cpu(), 0
        for number in range(1_000_000):
            total += number * number
        figures.append((own_cpu() - before) * 1000)
    return round(statistics.median(figures), 2)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` of them lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def environment() -> dict[str, Any]:
    """Versions and the machine, without its name."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average": [round(one, 2) for one in os.getloadavg()],
        "machine": platform.machine(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql_server": _says("postgres", "--version"),
        "redis_server": _says("redis-server", "--version"),
        **{name: version(name) for name in LIBRARIES},
        "calibration_ms": calibration_ms(),
    }


def debian_version(package: str) -> str | None:
    """The version of a Debian package; None where there is none."""
    if (program := shutil.which("dpkg-query")) is None:
        return None
    asked = subprocess.run(
        [program, "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
    )
    return asked.stdout or None


def _says(program: str, option: str) -> str | None:
    try:
        said = subprocess.run([find_program(program), option], capture_output=True, text=True, check=False)
    except ServerError:
        return None
    found = re.search(r"\d+(\.\d+)+", said.stdout)
    return found.group() if found else None


def rounded(value: Any) -> Any:
    """Figures as people read them: three significant digits and no more than two decimals for large ones."""
    if isinstance(value, float):
        return round(value, 2) if abs(value) >= 1 else float(f"{value:.3g}")
    if isinstance(value, Mapping):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return value


def progress(line: str) -> None:
    """For whoever watches; results go to standard output."""
    print(line, file=sys.stderr, flush=True)


def report(name: str, figures: Mapping[str, Any], started: float) -> None:
    """Print one JSON line and write bench/results/NAME.json. `started` is of time.monotonic()."""
    result = {
        "bench": name,
        **rounded(figures),
        "environment": environment(),
        "seconds": round(time.monotonic() - started, 1),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result), flush=True)
