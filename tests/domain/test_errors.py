from __future__ import annotations

from portal.domain.errors import DomainError


def test_an_error_carries_a_code_and_what_fills_its_message():
    error = DomainError("window_not_open", opens_on="2027-01-01", days=15)
    assert (error.code, error.params) == ("window_not_open", {"opens_on": "2027-01-01", "days": 15})
    assert str(error) == "window_not_open(opens_on=2027-01-01, days=15)"
