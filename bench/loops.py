"""Bare loops to measure against, each a process of its own: `python -m bench.loops minimal|acme COUNT KEY_TYPE`.

They keep nothing, retry nothing and check nothing. DIRECTORY_URL and CA_BUNDLE (a path) come by the environment; the
answer is one JSON object: CPU milliseconds a certificate, and certificates a second.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import ssl
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import acme.client
import acme.messages
import josepy
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_csr

from bench.measuring import own_cpu
from portal.domain.keys import make_csr, make_key

POLL = 0.005


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Minimal:
    """Seven requests a certificate over one connection, signed with ES256: the least that RFC 8555 asks for."""

    def __init__(self, directory_url: str, bundle: str) -> None:
        parts = urlsplit(directory_url)
        context = ssl.create_default_context(cafile=bundle)
        self._connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid: str | None = None
        self._nonce = ""
        self._directory = json.loads(self._send("GET", directory_url)[1])
        self._send("HEAD", self._directory["newNonce"])
        self._kid = self._post(self._directory["newAccount"], {"termsOfServiceAgreed": True})[0]["Location"]

    def issue(self, name: str, key_type: str) -> str:
        """A certificate (PEM)."""
        headers, order = self._post(
            self._directory["newOrder"], {"identifiers": [{"type": "dns", "value": name}]}
        )
        where = headers["Location"]
        authorization = self._post(order["authorizations"][0], None)[1]
        challenge = next(one for one in authorization["challenges"] if one["type"] == "http-01")
        self._post(challenge["url"], {})
        order = self._until(where, "ready")
        csr = load_pem_x509_csr(make_csr([name], make_key(key_type)).encode()).public_bytes(Encoding.DER)
        self._post(order["finalize"], {"csr": _text(csr)})
        certificate = self._until(where, "valid")["certificate"]
        return self._exchange(certificate, None)[1].decode()

    def _until(self, url: str, state: str) -> Any:
        while (order := self._post(url, None)[1])["status"] != state:
            time.sleep(POLL)
        return order

    def _post(self, url: str, payload: Any) -> tuple[Any, Any]:
        headers, body = self._exchange(url, payload)
        return headers, json.loads(body)

    def _exchange(self, url: str, payload: Any) -> tuple[Any, bytes]:
        signed: dict[str, Any] = {"alg": "ES256", "nonce": self._nonce, "url": url}
        signed |= {"kid": self._kid} if self._kid else {"jwk": self._jwk()}
        head = _text(json.dumps(signed).encode())
        content = _text(json.dumps(payload).encode()) if payload is not None else ""
        r, s = decode_dss_signature(self._key.sign(f"{head}.{content}".encode(), ec.ECDSA(SHA256())))
        signature = _text(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        body = json.dumps({"protected": head, "payload": content, "signature": signature}).encode()
        return self._send("POST", url, body)

    def _jwk(self) -> dict[str, str]:
        numbers = self._key.public_key().public_numbers()
        x, y = (_text(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"crv": "P-256", "kty": "EC", "x": x, "y": y}

    def _send(self, method: str, url: str, body: bytes | None = None) -> tuple[Any, bytes]:
        headers = {"Content-Type": "application/jose+json"} if body else {}
        self._connection.request(method, urlsplit(url).path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(content.decode("utf-8", "replace"))
        self._nonce = answer.headers.get("Replay-Nonce", self._nonce)
        return answer.headers, content


class ShortPolls:
    """certbot's library, its sleeps cut short."""

    def __init__(self, directory_url: str, bundle: str) -> None:
        sleep = time.sleep
        acme.client.time.sleep = lambda _seconds: sleep(POLL)
        key = josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        net = acme.client.ClientNetwork(key, alg=josepy.ES256, verify_ssl=bundle)  # type: ignore[arg-type]
        directory = acme.client.ClientV2.get_directory(directory_url, net)
        self._key, self._client = key, acme.client.ClientV2(directory, net)
        self._client.new_account(acme.messages.NewRegistration.from_data(terms_of_service_agreed=True))

    def issue(self, name: str, key_type: str) -> str:
        """A certificate (PEM)."""
        client = self._client
        order = client.new_order(make_csr([name], make_key(key_type)).encode())
        for authorization in order.authorizations:
            chosen = next(one for one in authorization.body.challenges if one.chall.typ == "http-01")
            client.answer_challenge(chosen, chosen.response(self._key))
        return str(client.poll_and_finalize(order).fullchain_pem)


def main() -> None:
    """Run a loop and say what it cost."""
    name, count, key_type = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    kind = {"minimal": Minimal, "acme": ShortPolls}[name]
    loop = kind(os.environ["DIRECTORY_URL"], os.environ["CA_BUNDLE"])
    head = hashlib.sha256(os.urandom(16)).hexdigest()[:8]
    for number in range(5):
        loop.issue(f"w{number}-{head}.bench.example", key_type)
    before, started = own_cpu(), time.monotonic()
    for number in range(count):
        loop.issue(f"n{number}-{head}.bench.example", key_type)
    cpu = (own_cpu() - before) * 1000 / count
    print(json.dumps({"cpu_ms": cpu, "per_second": count / (time.monotonic() - started)}))


if __name__ == "__main__":
    main()
