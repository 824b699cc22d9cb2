"""The specification of a certificate: what must be equal between a hosted certificate and its renewal (rule 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum


class DomainType(StrEnum):
    SINGLE = "single"
    MULTI = "multi"
    WILDCARD = "wildcard"


class ValidationType(StrEnum):
    DV = "dv"
    OV = "ov"
    EV = "ev"


class Grade(StrEnum):
    BASIC = "basic"
    PRO = "pro"
    ADVANCED = "advanced"


@dataclass(frozen=True)
class Spec:
    """Domain type, validation type, brand and grade. `brand` is a slug such as "digicert"."""

    domain_type: DomainType
    validation_type: ValidationType
    brand: str
    grade: Grade


@dataclass(frozen=True)
class DerivedSpec:
    """What an uploaded certificate says of its own specification; None is for the customer to confirm."""

    domain_type: DomainType
    validation_type: ValidationType | None
    brand: str | None
    grade: Grade | None


#: CA/B Forum reserved policy identifiers (Baseline Requirements 7.1.6.1, EV Guidelines).
POLICY_TYPES = {
    "2.23.140.1.2.1": ValidationType.DV,
    "2.23.140.1.2.2": ValidationType.OV,
    "2.23.140.1.2.3": ValidationType.OV,
    "2.23.140.1.1": ValidationType.EV,
}

#: Words in an issuer's organisation or common name that give its brand away, most telling first.
ISSUER_BRANDS = (
    ("let's encrypt", "letsencrypt"),
    ("geotrust", "geotrust"),
    ("rapidssl", "rapidssl"),
    ("thawte", "thawte"),
    ("digicert", "digicert"),
    ("globalsign", "globalsign"),
    ("sectigo", "sectigo"),
    ("comodo", "sectigo"),
    ("zerossl", "zerossl"),
    ("google trust services", "google"),
    ("cfca", "cfca"),
    ("wotrus", "wotrus"),
    ("vtrus", "vtrus"),
    ("perennial", "perennial"),
)


#: How a brand is written; it is a name, the same in every language.
BRAND_NAMES = {
    "letsencrypt": "Let's Encrypt",
    "geotrust": "GeoTrust",
    "rapidssl": "RapidSSL",
    "thawte": "Thawte",
    "digicert": "DigiCert",
    "globalsign": "GlobalSign",
    "sectigo": "Sectigo",
    "zerossl": "ZeroSSL",
    "google": "Google Trust Services",
    "cfca": "CFCA",
    "wotrus": "WoTrus",
    "vtrus": "vTrus",
    "perennial": "Perennial",
}


def brand_name(brand: str) -> str:
    """A brand as people write it; a slug that is not known is shown as it is."""
    return BRAND_NAMES.get(brand, brand)


def domain_type_of(names: Sequence[str]) -> DomainType:
    """The domain type of a list of DNS names: any wildcard makes it a wildcard certificate.

    A name and its www form together count as one, as certificate sellers count them.
    """
    if any(name.startswith("*.") for name in names):
        return DomainType.WILDCARD
    bare = {name.removeprefix("www.") for name in names}
    return DomainType.SINGLE if len(bare) <= 1 else DomainType.MULTI


def brand_of(issuer: str) -> str | None:
    """The brand slug that an issuer's name gives away, or None."""
    lowered = issuer.lower()
    return next((brand for words, brand in ISSUER_BRANDS if words in lowered), None)


def derive(names: Sequence[str], issuer: str, policy_oids: Sequence[str]) -> DerivedSpec:
    """Read the specification out of a certificate's names, issuer and policies."""
    validation_type = next((POLICY_TYPES[oid] for oid in policy_oids if oid in POLICY_TYPES), None)
    return DerivedSpec(domain_type_of(names), validation_type, brand_of(issuer), None)


def differing_parts(one: Spec, other: Spec) -> tuple[str, ...]:
    """The names of the parts in which two specifications differ, in the order of the class; empty if equal."""
    return tuple(part.name for part in fields(Spec) if getattr(one, part.name) != getattr(other, part.name))
