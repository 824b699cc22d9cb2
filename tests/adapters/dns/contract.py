"""What every DNS provider must do: a suite that the tests of each implementation inherit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pytest

from portal.adapters.dns.base import DnsProvider
from portal.adapters.errors import AdapterError

NAME = "_acme-challenge.example.com"
OTHER_NAME = "_acme-challenge.shop.example.com"


class Zone(Protocol):
    """A zone with a provider that may write to it."""

    def connect(self) -> DnsProvider: ...

    def values(self, name: str) -> list[str]:
        """The TXT values that are really there."""
        ...


def code_of(call: Callable[[], Any]) -> tuple[str, bool]:
    """The code of the AdapterError that `call` raises, and whether it is permanent."""
    with pytest.raises(AdapterError) as caught:
        call()
    return caught.value.code, caught.value.permanent


class DnsContract:
    """Inherit, and give a fixture `zone`."""

    def test_a_value_is_added_once_however_often_it_is_asked_for(self, zone: Zone) -> None:
        for _ in range(2):
            zone.connect().add_txt(NAME, "one")
        assert zone.values(NAME) == ["one"]

    def test_values_stand_side_by_side(self, zone: Zone) -> None:
        for value in ("one", "two"):
            zone.connect().add_txt(NAME, value)
        assert sorted(zone.values(NAME)) == ["one", "two"]

    def test_a_value_is_removed_and_the_others_stay(self, zone: Zone) -> None:
        for value in ("one", "two", "three"):
            zone.connect().add_txt(NAME, value)
        for _ in range(2):
            zone.connect().remove_txt(NAME, "two")
        assert sorted(zone.values(NAME)) == ["one", "three"]

    def test_removing_what_is_not_there_is_fine(self, zone: Zone) -> None:
        zone.connect().remove_txt(NAME, "never")
        assert zone.values(NAME) == []

    def test_base64url_values_of_a_challenge_arrive_unchanged(self, zone: Zone) -> None:
        value = "-_aZ09" * 7 + "x"
        zone.connect().add_txt(NAME, value)
        assert zone.values(NAME) == [value]

    def test_what_others_put_there_stays(self, zone: Zone) -> None:
        zone.connect().add_txt(NAME, "theirs")
        zone.connect().add_txt(NAME, "ours")
        zone.connect().remove_txt(NAME, "ours")
        zone.connect().remove_txt(NAME, "ours")
        assert zone.values(NAME) == ["theirs"]

    def test_the_same_value_elsewhere_stays(self, zone: Zone) -> None:
        for name in (NAME, OTHER_NAME):
            zone.connect().add_txt(name, "one")
        zone.connect().remove_txt(NAME, "one")
        assert (zone.values(NAME), zone.values(OTHER_NAME)) == ([], ["one"])
        zone.connect().remove_txt(OTHER_NAME, "one")

    def test_a_check_changes_nothing(self, zone: Zone) -> None:
        zone.connect().add_txt(NAME, "one")
        zone.connect().check()
        assert zone.values(NAME) == ["one"]
