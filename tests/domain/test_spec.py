from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from portal.domain.spec import (
    BRAND_NAMES,
    ISSUER_BRANDS,
    DerivedSpec,
    DomainType,
    Grade,
    Spec,
    ValidationType,
    brand_name,
    brand_of,
    derive,
    differing_parts,
    domain_type_of,
)

HOSTED = Spec(DomainType.SINGLE, ValidationType.DV, "digicert", Grade.BASIC)
OTHER = {
    "domain_type": DomainType.WILDCARD,
    "validation_type": ValidationType.OV,
    "brand": "geotrust",
    "grade": Grade.PRO,
}


@pytest.mark.parametrize(
    ("names",                                   "domain_type"),
    [
        (["example.com"],                        DomainType.SINGLE),
        (["example.com", "www.example.com"],     DomainType.SINGLE),
        (["www.example.com", "example.com"],     DomainType.SINGLE),
        (["a.example.com", "b.example.com"],     DomainType.MULTI),
        (["example.com", "example.net"],         DomainType.MULTI),
        (["*.example.com"],                      DomainType.WILDCARD),
        (["*.example.com", "example.com"],       DomainType.WILDCARD),
        (["example.net", "*.example.com"],       DomainType.WILDCARD),
    ],
)  # fmt: skip
def test_the_domain_type_follows_from_the_names(names, domain_type):
    assert domain_type_of(names) is domain_type


@pytest.mark.parametrize(
    ("issuer",                                  "brand"),
    [
        ("Let's Encrypt, R11",                   "letsencrypt"),
        ("DigiCert Inc, GeoTrust TLS RSA CA G1", "geotrust"),
        ("DigiCert Inc, RapidSSL TLS RSA CA G1", "rapidssl"),
        ("DigiCert Inc, DigiCert G2",            "digicert"),
        ("GlobalSign nv-sa, AlphaSSL",           "globalsign"),
        ("COMODO CA Limited, COMODO RSA",        "sectigo"),
        ("Google Trust Services, WR1",           "google"),
        ("China Financial CA, CFCA EV OCA",      "cfca"),
        ("Perennial Private CA",                 "perennial"),
        ("Somebody Else",                        None),
        ("",                                     None),
    ],
)  # fmt: skip
def test_the_brand_follows_from_the_issuer(issuer, brand):
    assert brand_of(issuer) == brand


@pytest.mark.parametrize(
    ("policy_oids",                            "validation_type"),
    [
        (["2.23.140.1.2.1"],                    ValidationType.DV),
        (["2.23.140.1.2.2"],                    ValidationType.OV),
        (["2.23.140.1.2.3"],                    ValidationType.OV),
        (["2.23.140.1.1"],                      ValidationType.EV),
        (["1.2.3.4", "2.23.140.1.2.1"],         ValidationType.DV),
        (["1.2.3.4"],                           None),
        ([],                                    None),
    ],
)  # fmt: skip
def test_the_validation_type_follows_from_the_policies(policy_oids, validation_type):
    assert derive(["example.com"], "", policy_oids).validation_type is validation_type


def test_the_grade_is_never_derived():
    derived = derive(["*.example.com"], "Let's Encrypt, R11", ["2.23.140.1.2.1"])
    assert derived == DerivedSpec(DomainType.WILDCARD, ValidationType.DV, "letsencrypt", None)


@pytest.mark.parametrize("changed", list(product([False, True], repeat=4)))
def test_every_differing_part_is_named_and_no_other(changed):
    parts = [name for name, is_changed in zip(OTHER, changed, strict=True) if is_changed]
    other = replace(HOSTED, **{name: OTHER[name] for name in parts})
    assert differing_parts(HOSTED, other) == differing_parts(other, HOSTED) == tuple(parts)


def test_every_brand_that_an_issuer_gives_away_has_its_name():
    assert {slug for _, slug in ISSUER_BRANDS} == set(BRAND_NAMES)
    assert brand_name("letsencrypt") == "Let's Encrypt"
    assert brand_name("house-ca") == "house-ca"
