"""Where the story is played: an installation of its own in the sandbox, stocked, with its people."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict

import requests
from flask import Flask

from portal.app import create_core
from portal.cli.demo import elsewhere, kept
from portal.cli.demo.elsewhere import Bought
from portal.cli.demo.kept import HOST, Kept
from portal.cli.demo.report import Report
from portal.cli.demo.story import People, Places, Story
from portal.cli.demo.watching import Watch, wait_for
from portal.clock import utc_now
from portal.embedded import programs
from portal.embedded.installation import Installation, InstallationError
from portal.embedded.supervisor import Program
from portal.extensions import db
from portal.sandbox import world
from portal.services import seeding
from portal.services.acting import Actor
from portal.settings import from_env

#: Seconds that the sandbox may take to answer.
PATIENCE = 30.0


class Stage:
    """Use as a context manager: inside, everything runs and the story can be played."""

    def __init__(self, given: Bought | None, port: int, say: Callable[[str], None]) -> None:
        self._say = say
        self._data_dir = from_env().data_dir
        self._kept = kept.next_run(self._data_dir, port)
        self._bought = given or _made(self._kept)
        folder = self._data_dir / "sandbox"
        world.make_secrets(folder)
        self._places = _places(self._kept, world.token_file(folder).read_text("utf-8").strip())
        self._installation = Installation(HOST, self._kept.port, self._environment(), [_sandbox(self._kept)])
        self._app: Flask | None = None
        self._actor: Actor | None = None

    def _environment(self) -> Mapping[str, str]:
        window = {"PORTAL_HOSTING_WINDOW_DAYS": "0"} if self._bought.is_given else {}
        sandbox = world.portal_environment(self._data_dir / "sandbox", HOST, self._kept.ports)
        own = {"PORTAL_DATA_DIR": str(self._data_dir), "PORTAL_BASE_URL": self._places.portal}
        return {**sandbox, **own, **window, "PORTAL_TRUSTED_PROXIES": "0"}

    def __enter__(self) -> Stage:
        started = time.monotonic()
        self._say(f"bringing up an installation in {self._data_dir}")
        try:
            self._installation.start()
            self._stock()
            self._installation.wait_until_ready()
            self._wait_for_sandbox()
        except BaseException:
            self._installation.stop()
            raise
        self._say(
            f"  up after {time.monotonic() - started:.1f} s: database, Redis, web, workers, scheduler, sandbox"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._say("stopping")
        self._installation.stop()

    def _stock(self) -> None:
        """What must be there before the story: catalogue, people, the cloud account with its target."""
        self._app, now = create_core(self._installation.settings), utc_now()
        with self._app.app_context():
            if not kept.file_of(self._data_dir).exists() and seeding.has_people():
                raise InstallationError(
                    f"{self._data_dir} holds an installation that is no demo's; name another folder in PORTAL_DATA_DIR"
                )
            kept.keep(self._data_dir, self._kept)
            seeding.stock(now)
            seeding.operator(self._kept.operator, now)
            self._actor = seeding.customer(self._kept.customer, "Demo Shop 示例商店", now)
            account = seeding.sandbox_account(self._places.cloud, self._places.cloud_token, self._actor, now)
            seeding.target(account, self._bought.target(self._places.edge), self._actor, now)
            db.session.remove()

    def _wait_for_sandbox(self) -> None:
        """Until the sandbox answers, and has the mail that asked the customer to confirm the address."""
        page = f"{self._places.mailbox}/api/messages"
        wait_for(lambda: _answers(page), bool, PATIENCE, "the sandbox")
        wait_for(
            self._watch().unsent_notices, lambda count: count == 0, PATIENCE, "the customer's first mail"
        )

    def _watch(self) -> Watch:
        assert self._app is not None
        assert self._actor is not None
        return Watch(self._app, self._actor.organisation_id)

    def story(self, report: Report) -> Story:
        """The story, ready to be played."""
        people = People(self._kept.customer, self._kept.operator)
        return Story(self._places, people, self._bought, self._watch(), report)

    def addresses(self) -> str:
        """Where to look now, and with which logins."""
        places = self._places
        rows = [("portal", places.portal)]
        rows += [
            (name, f"{login.email}  {login.password}")
            for name, login in (("  customer", self._kept.customer), ("  operator", self._kept.operator))
        ]
        rows += [("mailbox", places.mailbox), ("edge", places.edge), ("data", str(self._data_dir))]
        return "\n".join(f"{name:<11} {value}" for name, value in rows)


def _made(kept_run: Kept) -> Bought:
    shop = f"shop-{kept_run.runs}.example.com"
    return elsewhere.make((shop, f"www.{shop}"), utc_now())


def _places(kept_run: Kept, cloud_token: str) -> Places:
    ports = kept_run.ports
    return Places(
        portal=programs.local_url(HOST, kept_run.port),
        cloud=programs.local_url(HOST, ports.cloud),
        cloud_token=cloud_token,
        edge=f"{HOST}:{ports.edge}",
        mailbox=programs.local_url(HOST, ports.mailbox),
    )


def _sandbox(kept_run: Kept) -> Program:
    ports = [part for name, port in asdict(kept_run.ports).items() for part in (f"--{name}-port", str(port))]
    return Program("sandbox", (sys.executable, "-m", "portal.cli", "sandbox", "--host", HOST, *ports))


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False
