"""Private keys in and out of the vault. In clear they exist between these calls and the adapter's call only."""

from __future__ import annotations

from flask import current_app

from portal.adapters.key_vault import KeyVault, Place
from portal.domain.certificate import PrivateKey
from portal.domain.errors import DomainError
from portal.domain.keys import key_from_der, key_to_der
from portal.models.certificate import Certificate
from portal.models.hosting import Renewal


def vault() -> KeyVault:
    """The running app's vault."""
    current: KeyVault = current_app.extensions["vault"]
    return current


def certificate_key_place(certificate: Certificate) -> Place:
    """Where a certificate's key is sealed to."""
    return Place(certificate.organisation_id, "certificates", certificate.id, "private_key")


def renewal_key_place(renewal: Renewal) -> Place:
    """Where the key of a renewal under way is sealed to."""
    return Place(renewal.organisation_id, "renewals", renewal.id, "private_key")


def seal_certificate_key(certificate: Certificate, key: PrivateKey) -> bytes:
    """The envelope for `certificate.private_key`; the certificate's id must be set."""
    return vault().seal(key_to_der(key), certificate_key_place(certificate))


def open_certificate_key(certificate: Certificate) -> PrivateKey:
    """The certificate's key. Raises DomainError("no_private_key") where only the public part was uploaded."""
    if certificate.private_key is None:
        raise DomainError("no_private_key")
    return key_from_der(vault().open(certificate.private_key, certificate_key_place(certificate)))


def seal_renewal_key(renewal: Renewal, key: PrivateKey) -> bytes:
    """The envelope for `renewal.private_key`."""
    return vault().seal(key_to_der(key), renewal_key_place(renewal))


def open_renewal_key(renewal: Renewal) -> PrivateKey:
    """The key of a renewal under way. It is there from the state KEYED until the certificate is issued."""
    assert renewal.private_key is not None
    return key_from_der(vault().open(renewal.private_key, renewal_key_place(renewal)))
