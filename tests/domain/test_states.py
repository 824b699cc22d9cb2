from __future__ import annotations

from enum import StrEnum
from itertools import product

import pytest

from portal.domain import (
    checks,
    deployment,
    hosting,
    manual_order,
    notices,
    order,
    renewal,
    replacement,
    revocation,
)
from portal.domain.errors import DomainError
from portal.domain.states import advance


class Door(StrEnum):
    OPEN = "open"
    SHUT = "shut"


class Push(StrEnum):
    CLOSE = "close"
    PULL = "pull"


DOORS = {(Door.OPEN, Push.CLOSE): Door.SHUT}

#: What the house promises of every life cycle: state, event and where it leads. All else is refused.
LIVES = {
    "order": (order.TRANSITIONS, order.OrderState, order.OrderEvent, """
        open             pay          paid
        open             expire       expired
        open             cancel       cancelled
        paid             fulfil       fulfilled
        expired          pay_late     disputed
        cancelled        pay_late     disputed
    """),
    "hosting": (hosting.TRANSITIONS, hosting.HostingState, hosting.HostingEvent, """
        hosted           fail         failed
        failed           resolve      hosted
        hosted           complete     completed
        hosted           cancel       cancelled
        failed           cancel       cancelled
        completed        reopen       hosted
    """),
    "renewal": (renewal.TRANSITIONS, renewal.RenewalState, renewal.RenewalEvent, """
        waiting          start        started
        started          check        checked
        checked          make_key     keyed
        keyed            order        ordered
        ordered          present      presented
        presented        answer       validating
        validating       validate     validated
        validated        finalize     finalizing
        finalizing       issue        issued
        issued           hand_over    deploying
        deploying        finish       done
        ordered          reorder      keyed
        presented        reorder      keyed
        validating       reorder      keyed
        validated        reorder      keyed
        finalizing       reorder      keyed
        waiting          cancel       cancelled
    """),
    "deployment": (deployment.TRANSITIONS, deployment.DeploymentState, deployment.DeploymentEvent, """
        pending          upload       uploaded
        uploaded         bind         bound
        bound            read_back    read_back
        read_back        see_live     live
        read_back        miss         not_live
        not_live         see_live     live
        bound            rebind       uploaded
        not_live         rebind       uploaded
        live             rebind       uploaded
        pending          leave_alone  left_alone
        left_alone       supersede    superseded
        pending          supersede    superseded
        uploaded         supersede    superseded
        bound            supersede    superseded
        read_back        supersede    superseded
        live             supersede    superseded
        not_live         supersede    superseded
    """),
    "notice": (notices.TRANSITIONS, notices.NoticeState, notices.NoticeEvent, """
        pending          send         sent
        pending          refuse       refused
        refused          retry        pending
    """),
    "check": (checks.TRANSITIONS, checks.CheckState, checks.CheckEvent, """
        active           end          ended
        ended            begin_again  active
    """),
    "revocation": (revocation.TRANSITIONS, revocation.RevocationState, revocation.RevocationEvent, """
        awaiting         proceed      requested
        requested        revoke       revoked
    """),
    "revocation list": (revocation.CRL_TRANSITIONS, revocation.CrlState, revocation.CrlEvent, """
        active           end          ended
        ended            watch        active
    """),
    "mass replacement": (replacement.TRANSITIONS, replacement.ReplacementState, replacement.ReplacementEvent, """
        running          pause        paused
        paused           resume       running
        running          finish       done
        running          cancel       cancelled
        paused           cancel       cancelled
    """),
    "manual order": (manual_order.TRANSITIONS, manual_order.ManualOrderState, manual_order.ManualOrderEvent, """
        placed           submit       under_review
        under_review     issue        issued
        placed           refuse       refused
        under_review     refuse       refused
    """),
}  # fmt: skip


def every_step():
    """The full product of states and events of every life: (transitions, state, event, expected or None)."""
    for name, (transitions, states, events, text) in LIVES.items():
        rows = [line.split() for line in text.strip().splitlines()]
        expected = {(state, event): target for state, event, target in rows}
        for state, event in product(states, events):
            wanted = expected.pop((state.value, event.value), None)
            yield pytest.param(transitions, state, event, wanted, id=f"{name}-{state}-{event}")
        assert not expected, f"{name}: rows that name no state or event: {expected}"


@pytest.mark.parametrize(("transitions", "state", "event", "expected"), list(every_step()))
def test_every_state_and_event_leads_where_it_should_or_is_refused(transitions, state, event, expected):
    if expected is not None:
        assert advance(transitions, state, event) == expected
        return
    with pytest.raises(DomainError) as caught:
        advance(transitions, state, event)
    assert caught.value.code == "transition_refused"
    assert caught.value.params == {"state": state.value, "event": event.value}


@pytest.mark.parametrize(
    ("life", "start"),
    [
        ("order", order.OrderState.OPEN),
        ("hosting", hosting.HostingState.HOSTED),
        ("renewal", renewal.RenewalState.WAITING),
        ("deployment", deployment.DeploymentState.PENDING),
        ("notice", notices.NoticeState.PENDING),
        ("check", checks.CheckState.ACTIVE),
        ("revocation", revocation.RevocationState.AWAITING),
        ("revocation list", revocation.CrlState.ACTIVE),
        ("mass replacement", replacement.ReplacementState.RUNNING),
        ("manual order", manual_order.ManualOrderState.PLACED),
    ],
)
def test_every_state_can_be_reached(life, start):
    transitions, states, _, _ = LIVES[life]
    reached = {start}
    while grown := {to for (state, _), to in transitions.items() if state in reached} - reached:
        reached |= grown
    assert reached == set(states)


def test_advance_follows_the_table():
    assert advance(DOORS, Door.OPEN, Push.CLOSE) is Door.SHUT


def test_a_refused_transition_says_state_and_event():
    with pytest.raises(DomainError, match=r"transition_refused\(state=shut, event=pull\)"):
        advance(DOORS, Door.SHUT, Push.PULL)


@pytest.mark.parametrize("state", sorted(renewal.FINAL))
def test_no_renewal_leaves_a_final_state(state):
    assert not [row for row in renewal.TRANSITIONS if row[0] == state]
    assert state not in renewal.IN_FLIGHT


def test_a_superseded_deployment_stays_so():
    superseded = deployment.DeploymentState.SUPERSEDED
    assert not [row for row in deployment.TRANSITIONS if row[0] == superseded]
    assert superseded in deployment.SETTLED
