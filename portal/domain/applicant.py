"""Who applies for an OV or EV certificate: what CAs are told, kept with each certificate and copied to the next."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography import x509
from cryptography.x509.oid import NameOID

from portal.domain.certificate import ODD_CERTIFICATE

#: Parts of a subject (EV Guidelines 7.1.4.2) under the names that they are kept by, in the order of a form.
SUBJECT_PARTS: Mapping[str, x509.ObjectIdentifier] = {
    "organisation": NameOID.ORGANIZATION_NAME,
    "unit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "registration_number": NameOID.SERIAL_NUMBER,
    "business_category": NameOID.BUSINESS_CATEGORY,
    "jurisdiction": NameOID.JURISDICTION_COUNTRY_NAME,
    "street": NameOID.STREET_ADDRESS,
    "postal_code": NameOID.POSTAL_CODE,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "country": NameOID.COUNTRY_NAME,
}


def applicant_in(leaf: x509.Certificate) -> dict[str, str]:
    """What a certificate says of its applicant; empty for a DV one."""
    found: dict[str, str] = {}
    for name, oid in SUBJECT_PARTS.items():
        try:
            values = [str(part.value) for part in leaf.subject.get_attributes_for_oid(oid)]
        except ODD_CERTIFICATE:
            return {}
        if values:
            found[name] = ", ".join(values)
    return found
