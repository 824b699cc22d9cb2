from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.adapters.key_vault import KeyVault, Place, VaultError, master_key_version

KEYS = {1: bytes(range(32)), 2: bytes(range(32, 64))}
PLACE = Place("org1", "certificates", "row1", "private_key")
VAULT = KeyVault({1: KEYS[1]})
words = st.text(max_size=8)
places = st.builds(Place, words, words, words, words)


@given(st.binary(max_size=5000), places)
def test_what_is_sealed_opens_at_its_place(plaintext, place):
    assert VAULT.open(VAULT.seal(plaintext, place), place) == plaintext


@pytest.mark.parametrize("part", ["account", "table", "row", "column"])
def test_an_envelope_opens_nowhere_else(part):
    elsewhere = replace(PLACE, **{part: "other"})
    with pytest.raises(VaultError):
        VAULT.open(VAULT.seal(b"secret", PLACE), elsewhere)
    with pytest.raises(VaultError):
        KeyVault(KEYS).rewrap(VAULT.seal(b"secret", PLACE), elsewhere)


@given(places, places)
def test_no_two_places_read_the_same(one, other):
    assert (one == other) == (one.associated_data() == other.associated_data())


def test_moving_letters_between_parts_is_another_place():
    assert Place("a", "bc", "", "").associated_data() != Place("ab", "c", "", "").associated_data()


def test_every_bit_of_an_envelope_counts():
    envelope = VAULT.seal(b"secret", PLACE)
    for place in range(len(envelope)):
        damaged = bytearray(envelope)
        damaged[place] ^= 1
        with pytest.raises(VaultError):
            VAULT.open(bytes(damaged), PLACE)


@pytest.mark.parametrize("length", [0, 1, 5, 60, 76])
def test_what_is_no_envelope_is_refused(length):
    with pytest.raises(VaultError, match="not an envelope"):
        VAULT.open(os.urandom(length), PLACE)


def test_a_cut_envelope_is_refused():
    envelope = VAULT.seal(b"secret", PLACE)
    for length in range(len(envelope)):
        with pytest.raises(VaultError):
            VAULT.open(envelope[:length], PLACE)


def test_the_same_secret_never_looks_the_same():
    envelopes = {VAULT.seal(b"secret", PLACE) for _ in range(50)}
    assert len(envelopes) == 50
    assert not [one for one in envelopes if b"secret" in one]


def test_the_newest_master_key_seals_and_every_one_opens():
    old = VAULT.seal(b"secret", PLACE)
    both = KeyVault(KEYS)
    assert both.newest == 2
    assert both.open(old, PLACE) == b"secret"
    assert master_key_version(both.seal(b"secret", PLACE)) == 2


def test_rewrapping_moves_an_envelope_under_the_newest_key():
    old = VAULT.seal(b"secret", PLACE)
    new = KeyVault(KEYS).rewrap(old, PLACE)
    assert (master_key_version(old), master_key_version(new)) == (1, 2)
    assert KeyVault({2: KEYS[2]}).open(new, PLACE) == b"secret"
    assert KeyVault(KEYS).rewrap(new, PLACE) == new


def test_an_unknown_master_key_is_named_and_nothing_else():
    with pytest.raises(VaultError, match=r"^master key 2 is not among the configured ones$"):
        VAULT.open(KeyVault(KEYS).seal(b"secret", PLACE), PLACE)


def test_a_wrong_master_key_does_not_open():
    with pytest.raises(VaultError, match=r"^master key 1 does not open certificates\.private_key$"):
        KeyVault({1: KEYS[2]}).open(VAULT.seal(b"secret", PLACE), PLACE)


def test_a_running_process_follows_a_rotation():
    follower = KeyVault({1: KEYS[1]}, lambda: KEYS)
    assert follower.open(KeyVault(KEYS).seal(b"secret", PLACE), PLACE) == b"secret"
