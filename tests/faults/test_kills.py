"""Faults 1 to 5: workers that die or stand still, at the worst of moments.

Every kill is a SIGKILL of a real process; leases last a few seconds, so that whoever takes over need not wait long.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509
from sqlalchemy import select

from portal.domain.certificate import same_public_key, split_pem
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.queue import JobName, ring
from tests.acme_proxy import AcmeProxy, acme_proxy
from tests.faults.world import World
from tests.pebble import Pebble
from tests.servers import wait_until

#: Longer than a slow machine's step, so that only whoever is dead or stopped loses a lease.
LEASE = {"PORTAL_LEASE_SECONDS": "3"}


@contextmanager
def behind_proxy(world: World, acme: Pebble) -> Iterator[AcmeProxy]:
    """One order for which the CA is asked through a proxy that counts."""
    with acme_proxy(acme.directory_url) as proxy:
        world.issued = acme.issued
        world.pay_for("shop.example.com", world.acme_account(proxy.directory_url, acme.ca_bundle))
        yield proxy


def orders_placed(acme: Pebble) -> int:
    """By what the CA itself says: a refused nonce has the same request sent again."""
    return len(re.findall(r"There are now \d+ orders in the db", acme.log))


def csrs_sent(proxy: AcmeProxy) -> set[str]:
    return {one.payload["csr"] for one in proxy.requests if one.payload and "csr" in one.payload}


@pytest.mark.databases("postgresql")
def test_fault_1_a_worker_killed_between_finalize_and_store_leaves_one_certificate(
    world: World, acme: Pebble
) -> None:
    points = ("renewal.validated.after", "renewal.finalizing.after")
    with behind_proxy(world, acme) as proxy, world.crew(dict.fromkeys(points, "kill"), **LEASE) as crew:
        world.wait(crew)
        assert (crew.kills, world.reached(*points)) == (2, True)
        assert (len(acme.issued()), orders_placed(acme), len(csrs_sent(proxy))) == (1, 1, 1)
        renewal = world.renewal()
        assert renewal.successor is not None
        assert renewal.csr_pem is not None
        ordered_for = x509.load_pem_x509_csr(renewal.csr_pem.encode()).public_key()
        assert same_public_key(split_pem(renewal.successor.leaf_pem)[0].public_key(), ordered_for)
        world.check(crew.log())


@pytest.mark.databases("postgresql")
def test_fault_2_a_worker_killed_before_the_order_is_written_down_leaves_one_orphan_and_one_certificate(
    world: World, acme: Pebble
) -> None:
    with (
        behind_proxy(world, acme) as proxy,
        world.crew({"renewal.keyed.after": "kill"}, **LEASE) as crew,
    ):
        world.wait(crew)
        assert crew.kills == 1
        assert orders_placed(acme) == 2
        assert len(acme.issued()) == len(csrs_sent(proxy)) == 1
        world.check(crew.log())


#: A few of all boundaries, on both databases. stories/test_killed_workers takes every one in turn on PostgreSQL;
#: `make soak` kills at each in a run of its own, and has each raise, and dawdle past its lease.
SAMPLE = (
    "order.paid.after",
    "renewal.waiting.recorded",
    "renewal.checked.after",
    "renewal.finalizing.recorded",
    "renewal.deploying.before",
)


def test_fault_3_a_worker_is_killed_at_one_fault_point_after_the_other(world: World) -> None:
    world.pay_for("a.example.com")
    with world.crew(dict.fromkeys(SAMPLE, "kill")) as crew:
        world.wait(crew, timeout=90)
        assert (crew.kills, world.reached(*SAMPLE)) == (len(SAMPLE), True)
        world.check(crew.log())


@pytest.mark.databases("postgresql")
def test_fault_4_an_orphan_whose_parent_was_killed_is_refused_by_its_fence(world: World) -> None:
    """A worker forks no work horse; what can be killed above it is whoever supervises it, and then the next
    supervisor starts a second worker beside the orphan.
    """
    world.pay_for("a.example.com")
    world.drive_due_orders()
    log = world.folder / "orphan.log"
    with start_under_a_parent(world, {"renewal.keyed.after": "sleep:1"}) as parent:
        orphan = int(parent.stdout.readline()) if parent.stdout else 0
        try:
            renewal_id = world.renewal().id
            wait_until(lambda: ring(JobName.ADVANCE_RENEWALS, [renewal_id]), what="Redis")
            wait_until(lambda: world.reached("renewal.keyed.after"), 40, "the orphan's step")
            parent.kill()
            os.kill(orphan, signal.SIGSTOP)  # however slow this machine is: the orphan's step takes longer
            with world.crew(workers=1) as crew:
                world.wait(crew)
                os.kill(orphan, signal.SIGCONT)
                wait_until(lambda: "claim_lost" in log.read_text(), 20, "the orphan's refusal")
                world.check(crew.log() + log.read_text())
        finally:
            parent.kill()
            os.kill(orphan, signal.SIGKILL)


def start_under_a_parent(world: World, faults: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process that starts a worker, says its pid and waits; killing it leaves the worker behind."""
    script = (
        "import subprocess, sys; log = open(sys.argv[1], 'wb');"
        "one = subprocess.Popen([sys.executable, '-m', 'jobs.worker'], stdout=log, stderr=log);"
        "print(one.pid, flush=True); one.wait()"
    )
    db.session.rollback()
    return subprocess.Popen(
        [sys.executable, "-c", script, str(world.folder / "orphan.log")],
        stdout=subprocess.PIPE,
        env=world.environment_with(faults),
    )


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("point", ["renewal.keyed.before", "renewal.validated.before"])
def test_fault_5_a_worker_that_stood_still_past_its_lease_is_refused(
    world: World, acme: Pebble, point: str
) -> None:
    with behind_proxy(world, acme) as proxy, world.crew({point: "sleep:0.5"}, **LEASE) as crew:
        world.wait(crew, lambda: world.reached(point))
        stopped = holder()
        os.kill(stopped, signal.SIGSTOP)
        try:
            world.wait(crew)
            assert len(acme.issued()) == 1
        finally:
            os.kill(stopped, signal.SIGCONT)
        wait_until(lambda: "claim_lost" in crew.log(), 20, "the stale writer's refusal")
        time.sleep(0.2)
        assert (len(acme.issued()), len(csrs_sent(proxy))) == (1, 1)
        world.check(crew.log())


def holder() -> int:
    """The process that holds the renewal."""
    db.session.rollback()
    owner = db.session.scalars(select(Renewal.lease_owner).where(Renewal.lease_owner.is_not(None))).one()
    assert owner is not None
    return int(owner.rpartition(":")[2])
