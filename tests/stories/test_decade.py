"""Years of hosting in seconds: the simulation of `make soak` with few certificates, and what it would notice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bench import decade, decade_promises
from bench.decade_ca import Outage, World
from bench.decade_promises import Life, Term
from portal.domain.hosting import HostingState


def test_coverage_holds_through_outages_and_shrinking_limits(tmp_path: Path) -> None:
    totals = decade.simulate(tmp_path, certificates=4, years=3.2, seed=4, with_looks=True)
    assert totals["terms"] > 4
    assert totals["issuances"] > 4 * 7
    assert totals["ca_outages"] > 5
    assert totals["alarms_renewal_late"] == totals["late_renewals"]


START = decade.START
TERM = Term("h", 1, "c", START, START + timedelta(days=365), planned=2)
FIRST = Life("c", START - timedelta(days=100), START + timedelta(days=10), START)
SECOND = Life("d", START, START + timedelta(days=199), START + timedelta(days=1))
THIRD = Life("e", START + timedelta(days=170), START + timedelta(days=369), START + timedelta(days=170))


def test_a_certificate_that_came_too_late_is_noticed() -> None:
    late = replace(SECOND, taken_over_at=FIRST.not_after + timedelta(hours=1))
    with pytest.raises(AssertionError, match="taken over late"):
        decade_promises._never_lapsed(TERM, [FIRST, late], HostingState.HOSTED, START + timedelta(days=30))


def test_a_term_that_ends_without_its_last_certificate_is_noticed() -> None:
    with pytest.raises(AssertionError, match="lapsed"):
        decade_promises._never_lapsed(TERM, [FIRST, SECOND], HostingState.COMPLETED, TERM.ends_at)


def test_one_issuance_too_many_is_noticed() -> None:
    assert not decade_promises._within_plan(TERM, [FIRST, SECOND, THIRD])
    with pytest.raises(AssertionError, match="planned"):
        decade_promises._within_plan(TERM, [FIRST, SECOND, THIRD, THIRD])


def test_two_certificates_for_one_order_are_noticed() -> None:
    world = World()
    world.issued["order"] = {1, 2}
    with pytest.raises(AssertionError, match="more than one certificate"):
        decade_promises._once_each(world)


def test_an_outage_ends_when_it_says() -> None:
    outage = Outage(START, START + timedelta(days=2))
    assert outage.covers(START)
    assert not outage.covers(outage.end)
