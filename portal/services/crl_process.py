"""Opens one revocation list. Run as a process of its own, by its file name: only its memory and time are at stake.

Standard input: length of the header (4 bytes, big endian) · header (JSON: url, issuers as PEM, are lines wanted) · the
list (DER or PEM). Standard output: a line of JSON, {"error": code} or {"verified": positions of the issuers that
signed it, "this_update", "next_update"}; then a line for each revoked certificate: serial (hex), reason code, date.
Source: RFC 5280, 5 and 6.3.3. A list of changes, or of something else than all certificates of its issuer, is refused:
it would not say what we want to know.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
from typing import Any, BinaryIO, TextIO

CPU_SECONDS = 30
MEMORY_BYTES = 1024 * 1024 * 1024
MOST_OUTPUT = 256 * 1024 * 1024


def limit() -> None:
    """Give up all but a little time, memory and room for the answer."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT, MOST_OUTPUT))


def read(source: BinaryIO, answer: TextIO) -> None:
    """Read one list and write the answer."""
    (length,) = struct.unpack(">I", source.read(4))
    header: dict[str, Any] = json.loads(source.read(length))
    try:
        crl = _load(source.read())
        is_whole = _is_whole(crl, header["url"])
        verified = [position for position, pem in enumerate(header["issuers"]) if _signed(crl, pem)]
        dates = (crl.last_update_utc, crl.next_update_utc)
    except Exception:
        # Whatever a hostile list makes the parser raise: it cannot be read.
        answer.write(json.dumps({"error": "crl_broken"}) + "\n")
        return
    if not is_whole:
        answer.write(json.dumps({"error": "crl_of_something_else"}) + "\n")
        return
    times = [one.timestamp() if one else None for one in dates]
    summary = {"verified": verified, "this_update": times[0], "next_update": times[1]}
    answer.write(json.dumps(summary) + "\n")
    if header["lines"] and verified:
        _write_lines(crl, answer)


def _load(data: bytes) -> Any:
    from cryptography import x509

    is_pem = data.lstrip()[:11] == b"-----BEGIN "
    return x509.load_pem_x509_crl(data) if is_pem else x509.load_der_x509_crl(data)


def _is_whole(crl: Any, url: str) -> bool:
    """Whether it lists all revoked end-entity certificates that name `url`, and nothing in it is unknown to us."""
    from cryptography import x509

    known = {
        "2.5.29.20",
        "2.5.29.28",
        "2.5.29.35",
    }  # CRL number, issuing distribution point, authority key identifier
    for extension in crl.extensions:
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            point = extension.value
            names = [name.value for name in point.full_name or ()]
            if names and url not in names:
                return False
            if point.only_contains_ca_certs or point.only_contains_attribute_certs or point.indirect_crl:
                return False
        elif extension.critical and extension.oid.dotted_string not in known:
            return False
    return True


def _signed(crl: Any, issuer_pem: str) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    issuer = x509.load_pem_x509_certificate(issuer_pem.encode())
    try:
        return bool(crl.issuer == issuer.subject and crl.is_signature_valid(issuer.public_key()))
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False


def _write_lines(crl: Any, answer: TextIO) -> None:
    for line in crl:
        date = line.revocation_date_utc.timestamp()
        answer.write(f"{line.serial_number:x} {_reason_of(line)} {date:.0f}\n")


def _reason_of(line: Any) -> int:
    """The reason code (5.3.1); 0 where there is none, or none that is known."""
    from cryptography import x509

    codes = {
        x509.ReasonFlags.key_compromise: 1,
        x509.ReasonFlags.ca_compromise: 2,
        x509.ReasonFlags.affiliation_changed: 3,
        x509.ReasonFlags.superseded: 4,
        x509.ReasonFlags.cessation_of_operation: 5,
        x509.ReasonFlags.certificate_hold: 6,
        x509.ReasonFlags.remove_from_crl: 8,
        x509.ReasonFlags.privilege_withdrawn: 9,
        x509.ReasonFlags.aa_compromise: 10,
    }
    try:
        return codes.get(line.extensions.get_extension_for_class(x509.CRLReason).value.reason, 0)
    except (x509.ExtensionNotFound, ValueError):
        return 0


def main() -> None:
    """Read, answer."""
    limit()
    read(sys.stdin.buffer, sys.stdout)


if __name__ == "__main__":
    main()
