"""Reading what a CA of ours is asked to certify."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from portal.adapters.errors import AdapterError
from portal.domain.certificate import ODD_CERTIFICATE, key_type_of
from portal.domain.errors import DomainError


def refused(detail: str) -> AdapterError:
    """The refusal of a CA of ours, in its own words."""
    return AdapterError("ca_refused", permanent=True, detail=detail)


def read_csr(csr_pem: str, names: Sequence[str]) -> x509.CertificateSigningRequest:
    """The CSR, if it is signed by its key, of a type that we know, and for the names of the order, all and no more.

    Raises AdapterError("ca_refused").
    """
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        key_type_of(csr.public_key())
        asked = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        is_signed = csr.is_signature_valid
    except DomainError as error:
        raise refused(str(error)) from None
    except x509.ExtensionNotFound:
        raise refused("the CSR names nothing") from None
    except (InvalidSignature, UnsupportedAlgorithm, *ODD_CERTIFICATE):
        raise refused("the CSR does not parse") from None
    if not is_signed:
        raise refused("the CSR is not signed by its key")
    if len(asked.get_values_for_type(x509.DNSName)) != len(list(asked)):
        raise refused("the CSR asks for more than DNS names")
    if {name.lower() for name in asked.get_values_for_type(x509.DNSName)} != set(names):
        raise refused("the names of the CSR are not those of the order")
    return csr
