"""What is sent to an ACME server beside certbot's own message classes, and the account key that signs it."""

from __future__ import annotations

from typing import Any

from acme import messages
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.errors import Error as JoseError
from josepy.json_util import JSONObjectWithFields, field
from josepy.jwk import JWKEC

from portal.adapters.ca.acme_errors import refused


class NewOrder(messages.NewOrder):
    """With the certificate that the new one replaces (RFC 9773, 5), and the profile that it is made by."""

    replaces: str | None = field("replaces", omitempty=True)
    profile: str | None = field("profile", omitempty=True)


class Answer(JSONObjectWithFields):
    """The empty object that answers a challenge (7.5.1)."""


def load_key(pem: str) -> JWKEC:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise refused("the account key does not open")
    return JWKEC(key=key)


def binding(key: JWKEC, kid: str, hmac: str, new_account_url: str) -> dict[str, Any]:
    """External account binding (RFC 8555, 7.3.4). Raises AdapterError(ca_refused) for a key that is not base64url."""
    directory = messages.Directory({"newAccount": new_account_url})
    try:
        bound = messages.ExternalAccountBinding.from_data(key.public_key(), kid, hmac, directory)
    except (ValueError, JoseError):
        raise refused("the EAB HMAC key is not base64url") from None
    return dict(bound)
