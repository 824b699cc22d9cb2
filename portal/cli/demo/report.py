"""What the story did: progress while it runs, a table at its end, and the same as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from portal.adapters.live_check import Served
from portal.cli import table


@dataclass
class Step:
    """One step; `outcome` begins with "failed" where it did not work."""

    name: str
    outcome: str = ""
    seconds: float = 0.0


@dataclass
class Report:
    """Filled in as the story goes. `say` prints a line of progress."""

    say: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)
    before: Served | None = None
    after: Served | None = None
    mails: int = 0
    has_failed: bool = False

    @property
    def ok(self) -> bool:
        """Whether every step worked and the endpoint serves another certificate than before."""
        changed = (
            self.before is not None and self.after is not None and self.before.serial != self.after.serial
        )
        return changed and not self.has_failed

    @contextmanager
    def step(self, name: str, *troubles: type[Exception]) -> Iterator[Step]:
        """Time a step and tell its outcome. One of `troubles` is told as its failure, and raised again."""
        step, started = Step(name), time.monotonic()
        self.steps.append(step)
        try:
            yield step
        except troubles as error:
            step.outcome, self.has_failed = f"failed: {error}", True
            raise
        finally:
            step.seconds = round(time.monotonic() - started, 2)
            self.say(f"  {step.seconds:5.1f} s  {step.name}: {step.outcome or 'interrupted'}")

    def as_json(self) -> str:
        """One line; its keys are promised in the README."""
        return json.dumps(
            {
                "ok": self.ok,
                "steps": [
                    {"name": one.name, "outcome": one.outcome, "seconds": one.seconds} for one in self.steps
                ],
                "served_before": _served(self.before),
                "served_after": _served(self.after),
                "mails": self.mails,
            },
            ensure_ascii=False,
        )

    def as_table(self) -> str:
        """The steps, and the serials as seen in the handshakes."""
        rows = [
            ("step", "outcome", "seconds"),
            *((one.name, one.outcome, f"{one.seconds:.1f}") for one in self.steps),
        ]
        total = sum(one.seconds for one in self.steps)
        serials = [
            ("", "serial", "valid until"),
            _row("served before", self.before),
            _row("served after", self.after),
        ]
        verdict = (
            "the endpoint serves the new certificate" if self.ok else "THE STORY DID NOT COME TO ITS END"
        )
        return f"{table.render([*rows, ('', verdict, f'{total:.1f}')])}\n\n{table.render(serials)}"


def _served(seen: Served | None) -> dict[str, Any] | None:
    return {"serial": seen.serial, "not_after": seen.not_after.isoformat()} if seen else None


def _row(name: str, seen: Served | None) -> tuple[str, str, str]:
    return (name, seen.serial, f"{seen.not_after:%Y-%m-%d %H:%M} UTC") if seen else (name, "—", "—")
