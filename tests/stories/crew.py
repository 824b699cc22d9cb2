"""Real worker and scheduler processes for a story; whoever dies is started again, as a supervisor would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import bound, stop


class Crew:
    """`deaths` counts how processes ended, by name and signal; their output is in `folder`."""

    def __init__(
        self, environment: Mapping[str, str], folder: Path, workers: int = 2, schedulers: int = 1
    ) -> None:
        self._environment = {"PATH": os.environ["PATH"], "TZ": "UTC", **environment}
        self._folder = folder
        self._modules = {f"schedule{n}": "jobs.schedule" for n in range(schedulers)}
        self._modules |= {f"worker{n}": "jobs.worker" for n in range(workers)}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.deaths: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Self:
        self.tend()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            stop(process, 5)

    def tend(self) -> None:
        """Start what does not run."""
        for name, module in self._modules.items():
            process = self._processes.get(name)
            if process is not None and (code := process.poll()) is None:
                continue
            if process is not None:
                self.deaths[name, signal.Signals(-code).name if code < 0 else f"exit {code}"] += 1
            self._processes[name] = self._start(name, module)

    @property
    def kills(self) -> int:
        """How many workers died by SIGKILL."""
        return sum(count for (_, how), count in self.deaths.items() if how == "SIGKILL")

    def pid(self, name: str) -> int:
        """The process that has that name now: "worker0", "schedule0" …"""
        return self._processes[name].pid

    def log(self) -> str:
        """What all of them wrote."""
        return "\n".join(path.read_text("utf-8", "replace") for path in sorted(self._folder.glob("*.log")))

    def _start(self, name: str, module: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                bound([sys.executable, "-m", module]), stdout=log, stderr=log, env=self._environment
            )
