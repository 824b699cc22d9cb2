"""Keeping a few programs running: started in order, restarted with growing pauses, stopped in reverse.

A process manager that ends everything when one program ends would turn a hiccup into an outage; this one restarts.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from portal.embedded import processes

log = structlog.get_logger(__name__)

#: Seconds before the 1st, 2nd, … restart in a row; a program that has lived LONG_ENOUGH starts again at the first.
RESTART_PAUSES = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
LONG_ENOUGH = 30.0
LOOK_EVERY = 0.2


@dataclass(frozen=True)
class Program:
    """What to run. `stop_seconds` is how long it may take to end before it is killed."""

    name: str
    command: tuple[str, ...]
    stop_seconds: float = 15.0


class _Child:
    """One program's present process and its restarts."""

    def __init__(self, program: Program, log_file: Path, env: Mapping[str, str]) -> None:
        self.program = program
        self.log_file = log_file
        self.restarts = 0
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_after = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        with processes.open_log(self.log_file) as output:
            self._process = processes.start(self.program.command, output, self._env)
        self._started_at = time.monotonic()
        log.info("program_started", program=self.program.name, pid=self._process.pid)

    def look(self) -> None:
        """Reap it if it has ended and start it again when its pause is over."""
        if self._process is not None and self._process.poll() is not None:
            self._note_end(self._process)
        if self._process is None and time.monotonic() >= self._start_after:
            self.start()

    def _note_end(self, ended: subprocess.Popen[bytes]) -> None:
        processes.signal_session(ended, signal.SIGKILL)
        if time.monotonic() - self._started_at >= LONG_ENOUGH:
            self.restarts = 0
        pause = RESTART_PAUSES[min(self.restarts, len(RESTART_PAUSES) - 1)]
        self.restarts += 1
        self._start_after = time.monotonic() + pause
        self._process = None
        log.warning("program_ended", program=self.program.name, exit_code=ended.returncode, restart_in=pause)

    def ask_to_end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_or_kill(self, seconds: float) -> None:
        if self._process is not None:
            processes.stop(self._process, seconds)
            self._process = None


class Supervisor:
    """Runs programs until told to stop. `beside` is called with every look (an embedded Redis is kept up by it)."""

    def __init__(
        self,
        programs: Sequence[Program],
        log_dir: Path,
        env: Mapping[str, str],
        beside: Callable[[], object] = lambda: None,
    ) -> None:
        self._children = [_Child(program, log_dir / f"{program.name}.log", env) for program in programs]
        self._beside = beside
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start every program in order, then keep them running from a thread that lives until `stop`."""
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="supervisor", daemon=True)
        self._thread.start()
        started.wait()

    def _run(self, started: threading.Event) -> None:
        # Children are started by this thread alone: they are told to end when it does.
        for child in self._children:
            child.look()
        started.set()
        while not self._stopping.wait(LOOK_EVERY):
            self._look()
        self._end_all()

    def _look(self) -> None:
        try:
            self._beside()
            for child in self._children:
                child.look()
        except OSError as error:
            log.error("supervisor_cannot_start", error=str(error))

    def _end_all(self) -> None:
        for child in reversed(self._children):
            child.ask_to_end()
        for child in reversed(self._children):
            child.wait_or_kill(child.program.stop_seconds)

    def stop(self) -> None:
        """End all programs, the last started first; what does not end in time is killed. Returns when all are gone."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def pids(self) -> dict[str, int | None]:
        """The process id of each program; None while it is down."""
        return {child.program.name: child.pid for child in self._children}
