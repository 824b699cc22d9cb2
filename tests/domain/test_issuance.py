from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from portal.domain.errors import DomainError
from portal.domain.issuance import CLOCK_SKEW, Ordered, check_issued
from tests.pki import make_ca, make_certificate

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ("shop.example.com", "www.shop.example.com")
LIFE = {"expires_in": timedelta(days=199), "lifetime": timedelta(days=199)}
MADE = make_certificate(NAMES, now=NOW, **LIFE)
ORDERED = Ordered(NAMES, MADE.key.public_key())
FALSE_CA = make_ca("Perennial Test Intermediate", number=120)


def code_of(chain, ordered=ORDERED, now=NOW):
    try:
        check_issued(chain, ordered, now)
    except DomainError as error:
        return error.code
    return None


def chain(names=NAMES, **making):
    return make_certificate(names, **{"now": NOW, **LIFE, **making}).chain


@pytest.mark.parametrize(
    ("issued",                                          "code"),
    [
        (MADE.chain,                                     None),
        ((*MADE.chain, MADE.root),                       None),
        (chain((*NAMES, "more.example.com")),            None),
        (chain(client_auth=True),                        None),
        (chain(extensions=[x509.PrecertPoison()]),       "issued_precertificate"),
        (chain(key_number=1),                            "issued_with_wrong_key"),
        (chain(key_type="ec-p384"),                      "issued_with_wrong_key"),
        (chain(NAMES[:1]),                               "issued_without_name"),
        (chain(("*.example.com",)),                      "issued_without_name"),
        (chain(expires_in=timedelta(0)),                 "issued_not_valid_now"),
        (chain(expires_in=timedelta(days=210)),          "issued_not_valid_now"),
        ((MADE.leaf,),                                   "issued_chain_broken"),
        ((MADE.leaf, MADE.root),                         "issued_chain_broken"),
        ((MADE.leaf, FALSE_CA.certificate),              "issued_chain_broken"),
        ((*MADE.chain, FALSE_CA.certificate),            "issued_chain_broken"),
    ],
)  # fmt: skip
def test_only_what_was_ordered_is_accepted(issued, code):
    assert code_of(issued) == code


@pytest.mark.parametrize(
    ("ahead",                              "code"),
    [
        (CLOCK_SKEW,                        None),
        (CLOCK_SKEW + timedelta(seconds=1), "issued_not_valid_now"),
    ],
)  # fmt: skip
def test_a_clock_that_is_behind_the_cas_by_an_hour_is_forgiven(ahead, code):
    assert code_of(MADE.chain, now=NOW - ahead) == code


def test_the_names_ordered_may_stand_in_any_order():
    assert code_of(MADE.chain, replace(ORDERED, names=NAMES[::-1])) is None


def test_the_wrong_key_is_named_before_a_missing_name():
    issued = make_certificate(["other.example.com"], now=NOW, key_number=1, **LIFE).chain
    assert code_of(issued) == "issued_with_wrong_key"


@pytest.mark.parametrize(("taken", "code"), [(True, None), (False, "issued_with_client_auth")])
def test_client_auth_is_taken_or_not_as_the_account_says(taken, code):
    strict = replace(ORDERED, may_have_client_auth=taken)
    assert code_of(chain(client_auth=True), strict) == code
    assert code_of(MADE.chain, strict) is None
