"""Which certificate authorities there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portal.adapters.ca.base import CaSettings, CertificateAuthority
from portal.adapters.fields import Field
from portal.adapters.loading import load


@dataclass(frozen=True)
class Kind:
    """`target` is loaded when first used; `fields` are what `portal ca add` and the operator's form ask for.

    `validates` says whether this CA looks at DNS or the web by itself, so that rehearsing it means anything.
    """

    target: str
    label: str
    fields: tuple[Field, ...] = ()
    validates: bool = True


KINDS: Mapping[str, Kind] = {
    "private": Kind(
        "portal.adapters.ca.private_ca:PrivateCa",
        "Private CA",
        (
            Field("subject", "Name of the CA", default="Perennial Private CA"),
            Field("validity_days", "Validity of its certificates in days", default="199"),
            Field("validation_seconds", "Time a validation takes, in seconds", default="0"),
            Field(
                "policy",
                "Validation type that its certificates name",
                default="dv",
                choices=("dv", "ov", "ev"),
            ),
            Field(
                "public_url", "Where it publishes, if not under the portal's own address", is_required=False
            ),
        ),
        validates=False,
    ),
    "manual": Kind(
        "portal.adapters.ca.manual:ManualCa",
        "Manual CA",
        (
            Field("portal_url", "Page of the CA where orders are handed in", is_required=False),
            Field("guidance", "Notes for the operators", is_required=False),
            Field("caa_identity", "Domain that CAA records know it by", is_required=False),
        ),
        validates=False,
    ),
    "acme": Kind(
        "portal.adapters.ca.acme:AcmeCa",
        "ACME",
        (
            Field("directory_url", "Directory URL"),
            Field("contact", "Contact mail address", is_required=False),
            Field("ca_bundle", "CA bundle (PEM) for the directory's own certificate", is_required=False),
            Field("eab_kid", "EAB key identifier", is_required=False),
            Field("eab_hmac", "EAB HMAC key", is_secret=True, is_required=False),
            Field("preferred_chain", "Preferred chain: common name of its root", is_required=False),
            Field("profile", "Certificate profile, where the CA has it", is_required=False),
            Field("challenge", "Validation method", default="dns-01", choices=("dns-01", "http-01")),
            Field("rehearsal", "Look at the names before ordering", default="yes", choices=("yes", "no")),
            Field(
                "client_auth", "If it adds clientAuth unasked", default="accept", choices=("accept", "refuse")
            ),
            Field("keep_proofs", "Let later orders use proofs again", default="no", choices=("yes", "no")),
            Field(
                "caa_identities", "Domains that CAA records know it by, if it does not say", is_required=False
            ),
        ),
    ),
}


def connect(kind: str, settings: CaSettings) -> CertificateAuthority:
    """The certificate authority behind an account. Raises KeyError for an unknown kind."""
    implementation: CertificateAuthority = load(KINDS[kind].target)(settings)
    return implementation


def make_secrets(kind: str, config: Mapping[str, str]) -> dict[str, str]:
    """The secrets that a new account of this kind starts with."""
    secrets: dict[str, str] = load(KINDS[kind].target).make_secrets(config)
    return secrets
