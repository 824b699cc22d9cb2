"""What a new password must be like, and a check that takes as long for nobody."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from portal.domain.errors import DomainError
from portal.services import passwords

EMAIL = "alice@example.com"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_too_short"),
        ("x" * 129, "password_too_long"),
        ("1234567890", "password_breached"),
        ("Password123", "password_breached"),
        ("abababababab", "password_breached"),
        ("Alice@Example.com", "password_breached"),
    ],
)
def test_a_weak_password_is_refused_with_its_reason(password, code):
    with pytest.raises(DomainError) as refusal:
        passwords.check_new(password, EMAIL)
    assert refusal.value.code == code


@pytest.mark.parametrize("password", ["correct horse battery staple", "床前明月光，疑是地上霜", "q8#kT!2vLm"])
def test_a_sentence_or_a_random_word_will_do(password):
    passwords.check_new(password, EMAIL)


def test_only_the_right_password_fits_its_hash():
    kept = passwords.hash_password("a right one")
    assert kept.startswith("$argon2id$")
    assert passwords.is_right(kept, "a right one")
    assert not passwords.is_right(kept, "a wrong one")
    assert not passwords.is_right("not a hash", "a right one")
    assert not passwords.is_right(None, "a right one")


def _best(act: Callable[[], object]) -> float:
    def once() -> float:
        begun = time.process_time()
        act()
        return time.process_time() - begun

    return min(once() for _ in range(5))


def test_nobody_costs_as_much_as_somebody():
    kept = passwords.hash_password("a right one")
    passwords.is_right(None, "warm up")
    somebody = _best(lambda: passwords.is_right(kept, "a wrong one"))
    nobody = _best(lambda: passwords.is_right(None, "a wrong one"))
    assert nobody > somebody / 2
