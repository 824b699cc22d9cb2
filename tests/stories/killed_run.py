"""One run of the story in which workers die at given fault points. The tests sample it, bench.soak runs it whole."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
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
from tests.stories.outside import outside

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


def run(
    folder: Path, database_url: str, redis_url: str, faults: Mapping[str, str], timeout: float = 60
) -> Outcome:
    """Tell the story on an empty, migrated database; raise unless it ends with every promise kept."""
    with outside(folder) as place:
        environment = {
            **QUICK,
            **place.environment,
            "PORTAL_DATA_DIR": str(folder),
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_REDIS_URL": redis_url,
        }
        settings = from_env(environment)
        with open_app(create_core(settings)):
            factory = Factory(db.session, KeyVault(settings.master_keys), utc_now())
            begun = hosted_story.begin(place, factory, factory.cast())
            started = time.monotonic()
            with Crew({**environment, "PORTAL_FAULTS": json.dumps(dict(faults))}, folder) as crew:
                _wait(crew, begun, started + timeout)
                seconds = time.monotonic() - started
            died_at = tuple(sorted(path.name for path in (folder / "faults").glob("*")))
            invariants.check_all(place, begun)
            return Outcome(crew.kills, died_at, len(place.mail.messages), round(seconds, 1))


def _wait(crew: Crew, begun: hosted_story.Begun, deadline: float) -> None:
    while not hosted_story.is_over(begun):
        crew.tend()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{hosted_story.summary(begun)}\n{crew.log()[-20_000:]}")
        time.sleep(0.1)
