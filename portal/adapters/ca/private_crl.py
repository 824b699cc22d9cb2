"""The revocation list of a private CA. Source: RFC 5280, 5.

A list is a function of its slot (the hour) and of what has been revoked, signed deterministically: every host publishes
the same bytes under one address, and the number needs no counter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from portal.adapters.ca.ledger import Revoked
from portal.adapters.ca.private_certificates import Authority, issuer_identifier_of

#: How long a list may be used (nextUpdate).
LIFETIME = timedelta(days=7)
#: A list is made anew this often though nothing was revoked.
SLOT = timedelta(hours=1)
#: A line stays on at least one list made after its certificate expired (RFC 5280, 3.3).
KEPT_AFTER_EXPIRY = timedelta(days=1)

#: Reason codes of RFC 5280, 5.3.1; 0 (unspecified) is said by saying nothing.
REASONS: Mapping[int, x509.ReasonFlags] = {
    1: x509.ReasonFlags.key_compromise,
    2: x509.ReasonFlags.ca_compromise,
    3: x509.ReasonFlags.affiliation_changed,
    4: x509.ReasonFlags.superseded,
    5: x509.ReasonFlags.cessation_of_operation,
    6: x509.ReasonFlags.certificate_hold,
    9: x509.ReasonFlags.privilege_withdrawn,
    10: x509.ReasonFlags.aa_compromise,
}


def slot_of(now: datetime) -> datetime:
    """The beginning of the hour."""
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def make_crl(lines: Sequence[Revoked], issuer: Authority, now: datetime) -> bytes:
    """The full list as DER. `lines` are all that were ever revoked; those long expired are left out here."""
    slot = slot_of(now)
    listed = [one for one in lines if one.not_after > slot - KEPT_AFTER_EXPIRY]
    made_at = max([slot, *(one.revoked_at.replace(microsecond=0) for one in listed)])
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(made_at)
        .next_update(made_at + LIFETIME)
        .add_extension(x509.CRLNumber(_number(made_at, len(listed))), critical=False)
        .add_extension(issuer_identifier_of(issuer.certificate), critical=False)
    )
    for one in sorted(listed, key=lambda line: (line.revoked_at, line.serial)):
        builder = builder.add_revoked_certificate(_entry(one))
    crl = builder.sign(issuer.key, hashes.SHA256(), ecdsa_deterministic=True)
    return crl.public_bytes(Encoding.DER)


def _number(made_at: datetime, lines: int) -> int:
    """Grows with time, and within one second with the lines, which are only ever added to in a slot (5.2.3)."""
    return int(made_at.timestamp()) << 32 | lines


def _entry(line: Revoked) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(line.serial)
        .revocation_date(line.revoked_at.replace(microsecond=0))
    )
    if line.reason in REASONS:
        builder = builder.add_extension(x509.CRLReason(REASONS[line.reason]), critical=False)
    return builder.build()
