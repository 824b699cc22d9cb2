"""Programs that are kept running, and that leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.embedded.supervisor import Program, Supervisor
from portal.settings import child_environment
from tests.servers import wait_until

SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
)


def is_running(pid: int) -> bool:
    """Whether the process is there and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def pid_of(supervisor: Supervisor, name: str) -> int:
    wait_until(lambda: supervisor.pids()[name] is not None)
    pid = supervisor.pids()[name]
    assert pid is not None
    return pid


@pytest.fixture
def supervisors() -> Iterator[list[Supervisor]]:
    started: list[Supervisor] = []
    yield started
    for one in started:
        one.stop()


def start(supervisors: list[Supervisor], tmp_path: Path, *programs: Program) -> Supervisor:
    one = Supervisor(programs, tmp_path / "logs", child_environment({}))
    supervisors.append(one)
    one.start()
    return one


def test_a_program_that_is_killed_starts_again(supervisors: list[Supervisor], tmp_path: Path) -> None:
    supervisor = start(supervisors, tmp_path, Program("one", SLEEPER), Program("two", SLEEPER))
    one, two = pid_of(supervisor, "one"), pid_of(supervisor, "two")
    os.kill(one, signal.SIGKILL)
    wait_until(lambda: supervisor.pids()["one"] not in {None, one})
    assert supervisor.pids()["two"] == two


def test_output_goes_to_a_log_per_program(supervisors: list[Supervisor], tmp_path: Path) -> None:
    start(supervisors, tmp_path, Program("one", SLEEPER))
    wait_until(lambda: "up" in (tmp_path / "logs" / "one.log").read_text())


def test_a_program_that_keeps_ending_is_started_with_growing_pauses(
    supervisors: list[Supervisor], tmp_path: Path
) -> None:
    start(supervisors, tmp_path, Program("one", (sys.executable, "-S", "-c", "print('up')")))
    log = tmp_path / "logs" / "one.log"
    wait_until(lambda: log.exists() and log.read_text().count("up") == 2)
    with pytest.raises(TimeoutError):
        wait_until(lambda: log.read_text().count("up") > 2, timeout=0.7)


def test_stopping_ends_all_of_them_the_stubborn_ones_too(
    supervisors: list[Supervisor], tmp_path: Path
) -> None:
    programs = Program("one", SLEEPER), Program("two", STUBBORN, stop_seconds=0.3)
    supervisor = start(supervisors, tmp_path, *programs)
    pids = [pid_of(supervisor, "one"), pid_of(supervisor, "two")]
    wait_until(lambda: "up" in (tmp_path / "logs" / "two.log").read_text())
    supervisor.stop()
    assert not any(is_running(pid) for pid in pids)
    assert set(supervisor.pids().values()) == {None}


def test_what_a_program_started_ends_with_it(supervisors: list[Supervisor], tmp_path: Path) -> None:
    script = (
        "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    )
    supervisor = start(supervisors, tmp_path, Program("one", (sys.executable, "-c", script)))
    log = tmp_path / "logs" / "one.log"
    wait_until(lambda: log.exists() and log.read_text().strip().isdecimal())
    supervisor.stop()
    wait_until(lambda: not is_running(int(log.read_text())))


def test_a_parent_that_is_killed_takes_its_programs_with_it(tmp_path: Path) -> None:
    script = f"""
        import sys, time
        from pathlib import Path
        from portal import logs
        from portal.embedded.supervisor import Program, Supervisor
        from portal.settings import child_environment
        logs.configure(as_json=True)
        sleeper = Program("one", (sys.executable, "-c", "import time; time.sleep(60)"))
        supervisor = Supervisor([sleeper], Path({str(tmp_path)!r}), child_environment({{}}))
        supervisor.start()
        print(supervisor.pids()["one"], flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    wait_until(lambda: not is_running(child))
