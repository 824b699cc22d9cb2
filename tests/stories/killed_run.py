"""One run of the story in which workers die at given fault points. The tests sample it, bench.soak runs it whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from portal.adapters.key_vault import KeyVault
from portal.app import create_core
from portal.clock import utc_now
from portal.domain.deployment import DeploymentState
from portal.domain.order import OrderState
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.settings import from_env
from tests.databases import open_app
from tests.factories import Factory
from tests.stories import hosted_story, invariants
from tests.stories.crew import Crew
from tests.stories.outside import Outside, outside

_STATES = {
    "order": [OrderState.OPEN, OrderState.PAID],
    "renewal": [state for state in RenewalState if state not in {RenewalState.DONE, RenewalState.CANCELLED}],
    "deployment": [
        DeploymentState.PENDING,
        DeploymentState.UPLOADED,
        DeploymentState.BOUND,
        DeploymentState.READ_BACK,
    ],
    "notice": ["pending"],
}
#: Every boundary of every step that the story takes, in its order.
BOUNDARIES = tuple(
    f"{kind}.{state}.{moment}"
    for kind, states in _STATES.items()
    for state in states
    for moment in ("before", "after", "recorded")
)

QUICK = {
    "PORTAL_LEASE_SECONDS": "1",
    "PORTAL_RING_AGAIN_SECONDS": "1",
    "PORTAL_TICK_SECONDS": "1",
    "PORTAL_SWEEP_SECONDS": "2",
    "PORTAL_PROPAGATION_SECONDS": "60",
    "PORTAL_LOG_FORMAT": "json",
    "PORTAL_SECRET_KEY": "test-secret-key",
    "PORTAL_MASTER_KEYS": f"1:{bytes(range(32)).hex()}",
    "PORTAL_BASE_URL": "http://127.0.0.1:8080",
}


@dataclass(frozen=True)
class Outcome:
    """How a run went."""

    kills: int
    died_at: tuple[str, ...]
    mails: int
    seconds: float


@dataclass
class Stage:
    """A story that workers are telling. `environment` is theirs, but for the faults."""

    place: Outside
    begun: hosted_story.Begun
    crew: Crew
    environment: Mapping[str, str]
    folder: Path
    deadline: float

    def died_at(self) -> tuple[str, ...]:
        """The fault points that were reached."""
        return tuple(sorted(path.name for path in (self.folder / "faults").glob("*")))

    def wait(self, condition: Callable[[], object] | None = None) -> None:
        """Tend the workers until that holds; until the story is over if nothing is named. Raises TimeoutError."""
        while not (condition() if condition is not None else hosted_story.is_over(self.begun)):
            self.crew.tend()
            if time.monotonic() > self.deadline:
                raise TimeoutError(f"{hosted_story.summary(self.begun)}\n{self.crew.log()[-20_000:]}")
            time.sleep(0.1)


@contextmanager
def stage(
    folder: Path,
    database_url: str,
    redis_url: str,
    faults: Mapping[str, str],
    timeout: float = 60,
    more: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Begin the story on an empty, migrated database; workers with these faults go on with it. `more` are settings."""
    with outside(folder) as place:
        environment = {
            **QUICK,
            **place.environment,
            "PORTAL_DATA_DIR": str(folder),
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_REDIS_URL": redis_url,
            **(more or {}),
        }
        settings = from_env(environment)
        with open_app(create_core(settings)):
            factory = Factory(db.session, KeyVault(settings.master_keys), utc_now())
            begun = hosted_story.begin(place, factory, factory.cast())
            deadline = time.monotonic() + timeout
            with Crew({**environment, "PORTAL_FAULTS": json.dumps(dict(faults))}, folder) as crew:
                yield Stage(place, begun, crew, environment, folder, deadline)


def run(
    folder: Path, database_url: str, redis_url: str, faults: Mapping[str, str], timeout: float = 60
) -> Outcome:
    """Tell the story; raise unless it ends with every promise kept."""
    with stage(folder, database_url, redis_url, faults, timeout) as one:
        started = time.monotonic()
        one.wait()
        seconds = time.monotonic() - started
        invariants.check_all(one.place, one.begun, logs=one.crew.log())
        return Outcome(one.crew.kills, one.died_at(), len(one.place.mail.messages), round(seconds, 1))
