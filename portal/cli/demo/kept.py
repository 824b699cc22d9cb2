"""What a demo remembers in its data folder, so that the next run on it has the same logins and addresses."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from portal.embedded import programs
from portal.sandbox.world import Ports
from portal.services.seeding import Login

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Kept:
    """The file `demo.json`, for this user alone. `runs` counts the stories; each gets a shop of its own."""

    customer: Login
    operator: Login
    runs: int
    port: int
    ports: Ports


def file_of(data_dir: Path) -> Path:
    """Where it lies."""
    return data_dir / "demo.json"


def next_run(data_dir: Path, port: int) -> Kept:
    """What this run goes by: remembered logins, remembered ports as far as they are free."""
    known = _read(file_of(data_dir))
    wanted: dict[str, int] = asdict(Ports()) | known.get("ports", {})
    return Kept(
        customer=_login(known.get("customer"), "customer@example.com"),
        operator=_login(known.get("operator"), "operator@example.com"),
        runs=int(known.get("runs", 0)) + 1,
        port=programs.free_port(HOST, port),
        ports=Ports(**{name: programs.free_port(HOST, one) for name, one in wanted.items()}),
    )


def keep(data_dir: Path, kept: Kept) -> None:
    """Write it, whole or not at all."""
    path = file_of(data_dir)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(kept), file, indent=1)
    draft.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return known


def _login(known: dict[str, str] | None, email: str) -> Login:
    return Login(**known) if known else Login(email, secrets.token_urlsafe(15))
