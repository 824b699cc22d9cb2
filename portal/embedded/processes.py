"""Child processes that never outlive their parent, whatever becomes of it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

#: prctl(2): the signal that a process gets when the thread that started it is gone.
_PR_SET_PDEATHSIG = 1


def _dies_with_parent() -> Callable[[], None] | None:
    """What a child does between fork and exec. Everything it needs is resolved here, before the fork."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    arguments = (_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    return lambda: prctl(*arguments)


def start(command: Sequence[str], output: IO[bytes], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own (a terminal's Ctrl-C does not reach it), its output into `output`.

    On Linux it gets SIGTERM when the calling thread ends, so call from one that lives as long as the process.
    """
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(env),
        start_new_session=True,
        preexec_fn=_dies_with_parent(),
    )


def stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask it to end, wait, then kill its whole session. Returns when it has been reaped."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            signal_session(process, signal.SIGKILL)
    process.wait()
    signal_session(process, signal.SIGKILL)


def signal_session(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the process and what it started; nothing if they are gone."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def open_log(path: Path, keep_bytes: int = 10_000_000) -> IO[bytes]:
    """The log file at `path` for appending; one that has grown past `keep_bytes` is put aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > keep_bytes:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab", buffering=0)


def last_lines(path: Path, count: int = 5) -> str:
    """The end of a log, for an error message."""
    try:
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-count:])
    except OSError:
        return ""
