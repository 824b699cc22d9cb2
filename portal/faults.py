"""Named points at which tests make this process die, fail or dawdle. In production the plan is empty."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from flask import current_app

from portal.settings import Settings


class InjectedFault(Exception):
    """A fault that a test asked for."""


def faultpoint(name: str) -> None:
    """Do what the settings say for this point, once per installation (a mark in the data folder remembers it)."""
    settings: Settings = current_app.extensions["settings"]
    action = settings.faults.points.get(name) or settings.faults.points.get("*")
    if action is None or not _first_time(settings.data_dir / "faults" / name):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "raise":
        raise InjectedFault(name)
    time.sleep(float(action.removeprefix("sleep:")))


def _first_time(mark: Path) -> bool:
    mark.parent.mkdir(parents=True, exist_ok=True)
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
