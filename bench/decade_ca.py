"""The world of the ten simulated years: a CA that validates and that is away at times, and names that do not resolve.

Issuing is the private CA's; this adds what public CAs do besides: they look names up, fail orders whose proofs they do
not find, and are down now and then. It counts what it issued, for the promises that are checked at the end.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509

from portal.adapters.ca import registry
from portal.adapters.ca.base import (
    Authorization,
    CaOrder,
    CaOrderState,
    CaSettings,
    Challenge,
    ChallengeKind,
)
from portal.adapters.ca.private_ca import PrivateCa
from portal.adapters.ca.private_order import PrivateOrder
from portal.adapters.errors import AdapterError
from portal.adapters.fields import Field
from portal.services import validating

KIND = "simulated"
#: Names are spread over so many DNS operators, each with outages of its own.
DNS_OPERATORS = 7
LONGEST_OUTAGE = timedelta(days=5)
QUIET = timedelta(days=25)


@dataclass(frozen=True)
class Outage:
    start: datetime
    end: datetime

    def covers(self, now: datetime) -> bool:
        return self.start <= now < self.end


@dataclass
class World:
    """When what is away, and what the CA remembers: which orders were proved, which failed, what was issued."""

    ca_outages: Sequence[Outage] = ()
    dns_outages: Sequence[Sequence[Outage]] = ()
    proved: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    issued: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    refusals: Counter[Outage] = field(default_factory=Counter)

    def refuse_while_away(self) -> None:
        """Raises AdapterError(ca_unavailable) during an outage of the CA."""
        now = datetime.now(UTC)
        outage = next((one for one in self.ca_outages if one.covers(now)), None)
        if outage is not None:
            self.refusals[outage] += 1
            raise AdapterError("ca_unavailable", permanent=False, detail="503, as simulated")

    def resolves(self, name: str) -> bool:
        """Whether a name can be looked up now."""
        operator = int(hashlib.sha256(name.encode()).hexdigest(), 16) % DNS_OPERATORS
        now = datetime.now(UTC)
        return not any(one.covers(now) for one in self.dns_outages[operator])


def outages(dice: random.Random, start: datetime, end: datetime, a_year: float) -> tuple[Outage, ...]:
    """Outages that begin at random, half of them of hours, half of days; never two within QUIET."""
    found: list[Outage] = []
    at = start
    while True:
        at += QUIET + timedelta(days=dice.expovariate(a_year / 365))
        if at >= end:
            return tuple(found)
        longest = LONGEST_OUTAGE if dice.random() < 0.5 else timedelta(hours=8)
        found.append(Outage(at, at + longest * dice.uniform(0.1, 1.0)))
        at = found[-1].end


#: What the CA of this process lives in; a simulation puts its own in place.
world = World()


class SimulatedCa(PrivateCa):
    """The private CA behind http-01 validations and outages. It publishes nothing: there is no web in here."""

    def __init__(self, settings: CaSettings) -> None:
        super().__init__(replace(settings, public_url=None))

    def new_order(self, names: Sequence[str], replaces: str | None = None) -> CaOrder:
        world.refuse_while_away()
        return replace(super().new_order(names, replaces), state=CaOrderState.PENDING)

    def get_order(self, url: str) -> CaOrder:
        world.refuse_while_away()
        seen = super().get_order(url)
        if seen.state is not CaOrderState.READY or url in world.proved:
            return seen
        state = "invalid" if url in world.failed else "pending"
        names = self._read(url).names
        return replace(
            seen,
            state=CaOrderState.INVALID if url in world.failed else CaOrderState.PENDING,
            authorizations=tuple(_authorization(url, name, state) for name in names),
        )

    def answer(self, challenge: Challenge) -> None:
        """Look at once; one name that is not proved fails the order."""
        world.refuse_while_away()
        url, _, name = challenge.url.rpartition("#")
        is_found = validating.find_response(challenge.token) == challenge.key_authorization
        if is_found and world.resolves(name):
            world.proved.add(url)
        else:
            world.failed.add(url)

    def finalize(self, url: str, csr_pem: str) -> CaOrder:
        world.refuse_while_away()
        if url not in world.proved:
            raise AdapterError("ca_order_gone", permanent=False)
        return super().finalize(url, csr_pem)

    def download(self, url: str, csr_pem: str) -> str:
        world.refuse_while_away()
        return super().download(url, csr_pem)

    def _issue(self, order: PrivateOrder, csr_pem: str) -> x509.Certificate:
        made = super()._issue(order, csr_pem)
        world.issued[order.url].add(made.serial_number)
        return made


def _authorization(url: str, name: str, state: str) -> Authorization:
    token = hashlib.sha256(f"{url}#{name}".encode()).hexdigest()
    proof = Challenge(ChallengeKind.HTTP_01, f"{url}#{name}", token, f"{token}.thumbprint", token)
    error = "DNS problem: SERVFAIL" if state == "invalid" else None
    return Authorization(name, f"{url}#authz#{name}", state, challenges=(proof,), error=error)


def register() -> None:
    """Make the kind known to this process."""
    private = registry.KINDS["private"]
    method = Field("challenge", "Validation method", default="http-01")
    kinds: dict[str, registry.Kind] = registry.KINDS  # type: ignore[assignment]
    kinds[KIND] = replace(
        private, target="bench.decade_ca:SimulatedCa", label="Simulated CA", fields=(*private.fields, method)
    )
