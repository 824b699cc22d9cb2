"""Every fault that the engine must survive has a test that is named for it, or that says so in its first line."""

from __future__ import annotations

import re
from pathlib import Path

#: Fault → what it is; the numbers are those of the reliability rules.
FAULTS = {
    1: "kill between finalize and store",
    2: "kill after newOrder before its URL is saved",
    3: "kill at every fault point",
    4: "kill only the worker's parent",
    5: "SIGSTOP past the lease, then CONT",
    6: "Redis emptied, or restarted empty",
    7: "Redis down",
    8: "Redis full; wrong eviction policy",
    9: "two schedulers, thousands of due rows",
    10: "scheduler killed between moving and ringing",
    11: "poison entry in the schedule",
    12: "no worker, no scheduler",
    13: "a clock that is off by days",
    14: "CA away for five days",
    15: "429 with Retry-After, a paused name",
    16: "90 % of nonces rejected",
    17: "CA loses its state",
    18: "CA returns what was not ordered",
    19: "customer breaks the proof",
    20: "revoked, or the window moves to now",
    30: "PostgreSQL restarts, gives a write up, loses an answer",
    31: "SQLite with eight writers",
    32: "disk full",
    33: "master key rotated during a renewal",
    34: "a backup of two days ago",
    35: "far more due in one day than the CA allows",
    36: "rolling deployment",
}


def covered() -> set[int]:
    """The faults that tests beside this one name: test_fault_12_…, or "Fault 12" in a test's docstring."""
    found: set[int] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        if path.name != Path(__file__).name:
            text = path.read_text("utf-8")
            found |= {int(number) for number in re.findall(r"def test_fault_(\d+)_", text)}
            for docstring in re.findall(r'def test_\w+\([^"]*"""(Fault \d+[^"]*)"""', text):
                found |= {int(number) for number in re.findall(r"Fault (\d+)", docstring)}
    return found


def test_no_fault_is_without_a_test() -> None:
    assert covered() == set(FAULTS)
