"""Certificates by ACME (RFC 8555): one resumable step at a time, with external account binding and `replaces`.

Nothing waits here: a CA that is still busy is asked again by the caller, not before the moment that it named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from acme import messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from josepy.interfaces import JSONDeSerializable

from portal.adapters.ca import acme_chains
from portal.adapters.ca.acme_answers import (
    OrderBody,
    read_authorization,
    read_identities,
    read_order,
    read_renewal_info,
    read_texts,
)
from portal.adapters.ca.acme_errors import AcmeProblem, order_gone, refused, retry_at, unavailable
from portal.adapters.ca.acme_http import Reply
from portal.adapters.ca.acme_looks import Looks
from portal.adapters.ca.acme_messages import Answer, NewOrder, binding, load_key
from portal.adapters.ca.acme_transport import AcmeTransport
from portal.adapters.ca.base import (
    Authorization,
    CaOrder,
    CaOrderState,
    CaSettings,
    Challenge,
    RenewalInfo,
)

#: In these states a caller acts on the authorizations: to answer them, to clear their proofs, to see what failed.
_LOOKED_INTO = frozenset({CaOrderState.PENDING, CaOrderState.READY, CaOrderState.INVALID})
#: A challenge in one of these has been answered (7.1.6).
_ANSWERED = frozenset({"processing", "valid", "invalid"})
_GONE = frozenset({401, 403, 404, 410})
#: A clock that was heard this long ago still counts (seconds): quartz is off by a millisecond in that time.
_CLOCK_AGE = 300.0
_CERTIFICATE_ID = re.compile(r"[A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{1,256}")


class AcmeCa:
    """One account at one ACME server. Not for several threads at once: nonces and the connection are its own.

    `config`: directory_url, ca_bundle (PEM text), eab_kid, contact (a mail address), preferred_chain (the common name
    of the root's side of a chain), profile. `secrets`: account_key (PEM), eab_hmac (base64url).
    """

    def __init__(self, settings: CaSettings) -> None:
        self._settings = settings
        self._key = load_key(settings.secrets.get("account_key", ""))
        config = settings.config
        self._net = AcmeTransport(
            str(config.get("directory_url", "")), self._key, config.get("ca_bundle"), settings.timeout
        )
        self._net.account_url = settings.account_url
        self._looks = Looks()

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
        url, order = (
            self._net.address("newOrder"),
            NewOrder(identifiers=identifiers, profile=self._profile()),
        )
        named = replaces if self._net.find_address("renewalInfo") is not None else None
        try:
            reply = self._net.post(url, order.update(replaces=named))
        except AcmeProblem as refusal:
            is_refused = refusal.permanent or refusal.problem.status == 409
            if named is None or not is_refused:
                raise
            reply = self._net.post(url, order)
        body, location = read_order(reply), self._location(reply)
        self._looks.keep_new(location, body)
        return body.as_order(location)

    def get_order(self, url: str) -> CaOrder:
        """Look once. Authorizations are included until the order is finalized, and where it is invalid."""
        self._begin()
        body = self._looks.body(url) or self._look(url)
        if body.state not in _LOOKED_INTO:
            return body.as_order(url)
        if known := self._looks.authorizations(url, body.state):
            return body.as_order(url, known)
        found, latest = self._look_into(body)
        self._looks.keep_authorizations(url, found)
        return replace(body, retry_at=latest).as_order(url, found)

    def answer(self, challenge: Challenge) -> None:
        """Answer a challenge. One that has been answered already is refused by some CAs: then look at it."""
        self._begin()
        self._looks.note_answer()
        try:
            self._ask(challenge.url, Answer())
        except AcmeProblem as refusal:
            self._looks.forget()
            if not refusal.permanent:
                raise
            if self._ask(challenge.url).json().get("status") not in _ANSWERED:
                raise refusal from None

    def finalize(self, url: str, csr_pem: str) -> CaOrder:
        """Look first, unless that was just done: only an order that is ready takes the CSR."""
        self._begin()
        body = self._looks.body(url) or self._look(url)
        if body.state is CaOrderState.READY and body.finalize is not None:
            self._looks.forget(url)
            body = self._send_csr(url, body.finalize, csr_pem)
            self._looks.keep(url, body)
        if body.state is CaOrderState.INVALID:
            raise order_gone()
        return body.as_order(url)

    def download(self, url: str, csr_pem: str) -> str:  # noqa: ARG002
        """The chain that the CA offers first, or the one that is preferred."""
        self._begin()
        body = self._looks.body(url) or self._look(url)
        if body.state is CaOrderState.INVALID:
            raise order_gone()
        if body.state is not CaOrderState.VALID or body.certificate is None:
            raise unavailable(f"the certificate is not there yet: the order is {body.state}")
        return acme_chains.choose(
            self._ask(body.certificate), self._settings.config.get("preferred_chain"), self._ask
        )

    def forget_proofs(self, url: str) -> None:
        """Deactivate the authorizations of an order. One that is valid no more cannot be, and need not be."""
        if self._settings.config.get("keep_proofs") == "yes":
            return
        self._begin()
        seen = self._looks.body(url)
        # Not read as an order: some CAs give one a state of its own once a proof of it is withdrawn.
        addresses = seen.authorizations if seen else read_texts(self._ask(url), "authorizations")
        for address in addresses:
            try:
                self._net.post(address, messages.UpdateAuthorization(status="deactivated"))
            except AcmeProblem as refusal:
                if not refusal.permanent:
                    raise

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

    def renewal_info(self, certificate_id: str) -> RenewalInfo | None:
        """Asked without signing (RFC 9773, 4.1); a certificate that the CA does not know has no window."""
        self._net.restart_clock()
        base = self._net.find_address("renewalInfo")
        if base is None or not _CERTIFICATE_ID.fullmatch(certificate_id):
            return None
        try:
            return read_renewal_info(self._net.get(f"{base.rstrip('/')}/{certificate_id}"))
        except AcmeProblem as refusal:
            if refusal.problem.status != 404:
                raise
            return None

    def server_time(self) -> datetime | None:
        """The Date of the last exchange, and the time since; asked for where that is long ago."""
        self._net.restart_clock()
        if self._net.clock.now(_CLOCK_AGE) is None:
            self._net.ping()
        return self._net.clock.now(_CLOCK_AGE)

    def caa_identities(self) -> tuple[str, ...]:
        """The directory's caaIdentities."""
        self._net.restart_clock()
        return read_identities(self._net.meta())

    def _profile(self) -> str | None:
        """The profile of the settings, where the CA has it."""
        wanted, offered = self._settings.config.get("profile"), self._net.meta().get("profiles")
        return str(wanted) if wanted and isinstance(offered, dict) and wanted in offered else None

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
        return binding(self._key, str(kid), hmac, self._net.address("newAccount"))

    def _location(self, reply: Reply) -> str:
        url = reply.headers.get("Location")
        if url is None:
            raise unavailable("the answer does not say where the resource is")
        self._net.connection.check(url)
        return url

    def _look(self, url: str) -> OrderBody:
        if not self._net.connection.is_ours(url):
            raise order_gone()
        body = read_order(self._ask(url))
        self._looks.keep(url, body)
        return body

    def _look_into(self, body: OrderBody) -> tuple[tuple[Authorization, ...], datetime | None]:
        """An order's authorizations, and when the CA wants to be asked again, the latest that any answer named."""
        replies = [(address, self._ask(address)) for address in body.authorizations]
        found = tuple(read_authorization(reply, address, self._key) for address, reply in replies)
        waits = [body.retry_at, *(retry_at(reply.headers) for _, reply in replies)]
        return found, max((wait for wait in waits if wait is not None), default=None)

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
            if refusal.problem.status in {404, 410} or refusal.code == "ca_account_gone":
                raise order_gone() from refusal
            if refusal.problem.kind != "orderNotReady":
                raise
            return self._look(url)
