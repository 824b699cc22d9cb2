"""Signed requests to an ACME server, under certbot's `acme` message classes. Source: RFC 8555, 6.2 to 6.5.

It stands in for acme.client.ClientNetwork, which retries a refused nonce once and loses Retry-After.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from acme import jws
from josepy.interfaces import JSONDeSerializable
from josepy.json_util import decode_b64jose
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from portal.adapters.ca.acme_clock import HeardClock
from portal.adapters.ca.acme_errors import AcmeProblem, read_problem, unavailable
from portal.adapters.ca.acme_http import AcmeConnection, Reply

#: At 90 % rejection ten tries would fail one request in three; sixty fail one in five hundred.
NONCE_TRIES = 60
_KEPT_NONCES = 8
_DIRECTORY_AGE = 3600.0
_NONCE = re.compile(r"[A-Za-z0-9_-]+")


class AcmeTransport:
    """For one account and one thread. `account_url` is the key id of signatures once it is known."""

    def __init__(self, directory_url: str, key: JWKEC, ca_bundle: str | None, timeout: float) -> None:
        self.key = key
        self.account_url: str | None = None
        self.connection = AcmeConnection(directory_url, ca_bundle)
        self.clock = HeardClock()
        self._directory_url = directory_url
        self._directory: dict[str, Any] = {}
        self._directory_until = 0.0
        self._nonces: list[str] = []
        self._timeout = timeout
        self._deadline = 0.0

    def restart_clock(self) -> None:
        """A new step begins: from now its requests, all together, have the step's time."""
        self._deadline = time.monotonic() + self._timeout

    def address(self, resource: str) -> str:
        """Where the directory says that a resource is ("newOrder"). Raises AdapterError."""
        url = self.find_address(resource)
        if url is None:
            raise unavailable(f"the directory has no {resource}")
        return url

    def find_address(self, resource: str) -> str | None:
        """The same for what not every CA has ("renewalInfo")."""
        url = self._read_directory().get(resource)
        return url if isinstance(url, str) else None

    def meta(self) -> Mapping[str, Any]:
        """What the CA says of itself."""
        found = self._read_directory().get("meta")
        return found if isinstance(found, dict) else {}

    def get(self, url: str) -> Reply:
        """A plain GET, for what is public. Raises AcmeProblem, AdapterError."""
        return self._send("GET", url)

    def ping(self) -> None:
        """The cheapest exchange that there is; its nonce is kept."""
        self._send("HEAD", self.address("newNonce"))

    def post(self, url: str, message: JSONDeSerializable | None, *, as_key: bool = False) -> Reply:
        """POST a signed message, or POST-as-GET where it is None.

        Signed in the name of the account, or `as_key` with the bare key (newAccount). Refused nonces are retried, each
        time with the fresh one that came with the refusal. Raises AcmeProblem for other refusals, AdapterError.
        """
        payload = message.json_dumps().encode() if message is not None else b""
        for _ in range(NONCE_TRIES):
            try:
                return self._send("POST", url, self._sign(payload, url, None if as_key else self.account_url))
            except AcmeProblem as refusal:
                if refusal.problem.kind != "badNonce":
                    raise
        raise unavailable(f"{NONCE_TRIES} nonces were refused in a row")

    def _read_directory(self) -> dict[str, Any]:
        if time.monotonic() > self._directory_until:
            self._directory = self._send("GET", self._directory_url).json()
            self._directory_until = time.monotonic() + _DIRECTORY_AGE
        return self._directory

    def _sign(self, payload: bytes, url: str, account_url: str | None) -> bytes:
        nonce = decode_b64jose(self._nonce())
        signed = jws.JWS.sign(payload, key=self.key, alg=ES256, nonce=nonce, url=url, kid=account_url)
        return signed.json_dumps().encode()  # type: ignore[no-any-return]

    def _nonce(self) -> str:
        if not self._nonces:
            self.ping()
        if not self._nonces:
            raise unavailable("the CA gave no nonce")
        return self._nonces.pop()

    def _send(self, method: str, url: str, body: bytes | None = None) -> Reply:
        reply = self.connection.send(method, url, self._deadline, body)
        self.clock.hear(reply.headers)
        self._keep_nonce(reply.headers.get("Replay-Nonce", ""))
        if reply.status >= 300:
            raise AcmeProblem(read_problem(reply.status, reply.headers, reply.body))
        return reply

    def _keep_nonce(self, nonce: str) -> None:
        """Only what is base64url is a nonce (6.5.1); the newest are the likeliest to be taken."""
        if _NONCE.fullmatch(nonce) and len(nonce) % 4 != 1:
            self._nonces = [*self._nonces[1 - _KEPT_NONCES :], nonce]
