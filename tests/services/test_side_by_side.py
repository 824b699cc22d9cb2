"""Outside calls at once: in order, few at a time, and none begun after a failure."""

from __future__ import annotations

import threading

import pytest

from portal.services.side_by_side import MOST_AT_ONCE, side_by_side


def test_results_come_in_the_order_of_what_they_are_for() -> None:
    waiting = threading.Barrier(2, timeout=10)

    def call(number: int) -> int:
        waiting.wait()
        return number * 2

    assert side_by_side(call, [3, 1, 2, 0]) == [6, 2, 4, 0]


@pytest.mark.parametrize("things", [[], [1]])
def test_one_or_none_needs_no_thread(things: list[int]) -> None:
    here = threading.get_ident()
    assert side_by_side(lambda _: threading.get_ident() == here, things) == [True] * len(things)


def test_the_first_failure_is_raised_and_the_rest_is_not_begun() -> None:
    begun: list[int] = []

    def call(number: int) -> None:
        begun.append(number)
        raise ValueError(str(number))

    with pytest.raises(ValueError, match="0"):
        side_by_side(call, list(range(200)))
    assert len(begun) < 200


def test_few_run_at_once() -> None:
    running: list[int] = []
    most = 0
    lock = threading.Lock()
    gate = threading.Event()

    def call(number: int) -> None:
        nonlocal most
        with lock:
            running.append(number)
            most = max(most, len(running))
            if most == MOST_AT_ONCE:
                gate.set()
        gate.wait(10)
        with lock:
            running.remove(number)

    side_by_side(call, list(range(30)))
    assert most == MOST_AT_ONCE
