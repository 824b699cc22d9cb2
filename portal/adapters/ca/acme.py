"""Certificates by ACME (RFC 8555): one resumable step at a time, with external account binding and `replaces`.

Nothing waits here: a CA that is still busy is asked again by the caller, not before the moment that it named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from acme import messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from josepy.errors import Error as JoseError
from josepy.interfaces import JSONDeSerializable
from josepy.json_util import JSONObjectWithFields, field
from josepy.jwk import JWKEC

from portal.adapters.ca.acme_answers import OrderBody, read_authorization, read_order
from portal.adapters.ca.acme_errors import AcmeProblem, order_gone, refused, retry_at, unavailable
from portal.adapters.ca.acme_http import Reply
from portal.adapters.ca.acme_transport import AcmeTransport
from portal.adapters.ca.base import CaOrder, CaOrderState, CaSettings, Challenge

#: In these states a caller acts on the authorizations: to answer them, to clear their proofs, to see what failed.
_LOOKED_INTO = frozenset({CaOrderState.PENDING, CaOrderState.READY, CaOrderState.INVALID})
#: A challenge in one of these has been answered (7.1.6).
_ANSWERED = frozenset({"processing", "valid", "invalid"})
_GONE = frozenset({401, 403, 404, 410})


class _NewOrder(messages.NewOrder):
    """With the certificate that the new one replaces (RFC 9773, 5)."""

    replaces: str | None = field("replaces", omitempty=True)


class _Answer(JSONObjectWithFields):
    """The empty object that answers a challenge (7.5.1)."""


class AcmeCa:
    """One account at one ACME server. Not for several threads at once: nonces and the connection are its own.

    `config`: directory_url, ca_bundle (PEM text), eab_kid, contact (a mail address). `secrets`: account_key (PEM),
    eab_hmac (base64url).
    """

    def __init__(self, settings: CaSettings) -> None:
        self._settings = settings
        self._key = _load_key(settings.secrets.get("account_key", ""))
        config = settings.config
        self._net = AcmeTransport(
            str(config.get("directory_url", "")), self._key, config.get("ca_bundle"), settings.timeout
        )
        self._net.account_url = settings.account_url

    @classmethod
    def make_secrets(cls, config: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG003
        """A new account key for ES256."""
        key = ec.generate_private_key(ec.SECP256R1())
        return {"account_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()}

    def register(self) -> str:
        """Make the account, or find it by its key (7.3.1)."""
        self._net.restart_clock()
        contact = self._settings.config.get("contact")
        return self._enter_account(
            messages.NewRegistration(
                terms_of_service_agreed=True,
                contact=(f"mailto:{contact}",) if contact else (),
                external_account_binding=self._binding(),
            )
        )

    def new_order(self, names: Sequence[str], replaces: str | None = None) -> CaOrder:
        """Order; where the CA will not have `replaces`, order without."""
        self._begin()
        identifiers = [
            messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name) for name in dict.fromkeys(names)
        ]
        url = self._net.address("newOrder")
        try:
            reply = self._net.post(url, _NewOrder(identifiers=identifiers, replaces=replaces))
        except AcmeProblem as refusal:
            is_refused = refusal.permanent or refusal.problem.status == 409
            if replaces is None or not is_refused:
                raise
            reply = self._net.post(url, _NewOrder(identifiers=identifiers))
        return read_order(reply).as_order(self._location(reply))

    def get_order(self, url: str) -> CaOrder:
        """Look once. Authorizations are included until the order is finalized, and where it is invalid."""
        self._begin()
        body = self._look(url)
        if body.state not in _LOOKED_INTO:
            return body.as_order(url)
        replies = [(address, self._ask(address)) for address in body.authorizations]
        found = tuple(read_authorization(reply, address, self._key) for address, reply in replies)
        waits = [body.retry_at, *(retry_at(reply.headers) for _, reply in replies)]
        latest = max((wait for wait in waits if wait is not None), default=None)
        return replace(body, retry_at=latest).as_order(url, found)

    def answer(self, challenge: Challenge) -> None:
        """Answer a challenge. One that has been answered already is refused by some CAs: then look at it."""
        self._begin()
        try:
            self._ask(challenge.url, _Answer())
        except AcmeProblem as refusal:
            if not refusal.permanent:
                raise
            if self._ask(challenge.url).json().get("status") not in _ANSWERED:
                raise refusal from None

    def finalize(self, url: str, csr_pem: str) -> CaOrder:
        """Look first: only an order that is ready takes the CSR."""
        self._begin()
        body = self._look(url)
        if body.state is CaOrderState.READY and body.finalize is not None:
            body = self._send_csr(url, body.finalize, csr_pem)
        if body.state is CaOrderState.INVALID:
            raise order_gone()
        return body.as_order(url)

    def download(self, url: str, csr_pem: str) -> str:  # noqa: ARG002
        """The chain that the CA offers first."""
        self._begin()
        body = self._look(url)
        if body.state is CaOrderState.INVALID:
            raise order_gone()
        if body.state is not CaOrderState.VALID or body.certificate is None:
            raise unavailable(f"the certificate is not there yet: the order is {body.state}")
        try:
            chain = self._ask(body.certificate).body.decode("ascii")
        except UnicodeDecodeError:
            chain = ""
        if "-----BEGIN CERTIFICATE-----" not in chain:
            raise unavailable("the answer is no PEM chain")
        return chain

    def revoke(self, leaf_pem: str, reason: int = 0) -> None:
        """Revoke in the account's name (7.6)."""
        self._begin()
        leaf = x509.load_pem_x509_certificate(leaf_pem.encode())
        try:
            self._net.post(
                self._net.address("revokeCert"), messages.Revocation(certificate=leaf, reason=reason)
            )
        except AcmeProblem as refusal:
            if refusal.problem.kind != "alreadyRevoked":
                raise

    def _begin(self) -> None:
        """A step in the account's name; where its URL is not known, find it by its key."""
        self._net.restart_clock()
        if self._net.account_url is None:
            self._enter_account(messages.NewRegistration(only_return_existing=True))

    def _enter_account(self, message: messages.NewRegistration) -> str:
        """Some CAs answer 409 with the address where an account exists already."""
        try:
            url = self._location(self._net.post(self._net.address("newAccount"), message, as_key=True))
        except AcmeProblem as refusal:
            if refusal.problem.status != 409 or not refusal.problem.location:
                raise
            url = refusal.problem.location
        self._net.account_url = url
        return url

    def _binding(self) -> dict[str, Any] | None:
        """External account binding (7.3.4), where the settings have one."""
        kid, hmac = self._settings.config.get("eab_kid"), self._settings.secrets.get("eab_hmac")
        if not kid or not hmac:
            return None
        directory = messages.Directory({"newAccount": self._net.address("newAccount")})
        try:
            binding = messages.ExternalAccountBinding.from_data(
                self._key.public_key(), str(kid), hmac, directory
            )
        except (ValueError, JoseError):
            raise refused("the EAB HMAC key is not base64url") from None
        return dict(binding)

    def _location(self, reply: Reply) -> str:
        url = reply.headers.get("Location")
        if url is None:
            raise unavailable("the answer does not say where the resource is")
        self._net.connection.check(url)
        return url

    def _look(self, url: str) -> OrderBody:
        if not self._net.connection.is_ours(url):
            raise order_gone()
        return read_order(self._ask(url))

    def _ask(self, url: str, message: JSONDeSerializable | None = None) -> Reply:
        """Ask for something that belongs to an order. What is not there any more, or not ours, is an order gone;
        and an account that is gone took its orders with it.
        """
        try:
            return self._net.post(url, message)
        except AcmeProblem as refusal:
            if refusal.problem.status in _GONE or refusal.code == "ca_account_gone":
                raise order_gone() from refusal
            raise

    def _send_csr(self, url: str, finalize_url: str, csr_pem: str) -> OrderBody:
        """Finalize (7.4). An order that someone finalized between our look and now is looked at again."""
        try:
            csr = x509.load_pem_x509_csr(csr_pem.encode())
        except ValueError:
            raise refused("the CSR does not parse") from None
        try:
            return read_order(self._net.post(finalize_url, messages.CertificateRequest(csr=csr)))
        except AcmeProblem as refusal:
            if refusal.problem.kind != "orderNotReady":
                raise
            return self._look(url)


def _load_key(pem: str) -> JWKEC:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise refused("the account key does not open")
    return JWKEC(key=key)
