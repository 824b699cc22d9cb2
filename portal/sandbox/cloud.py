"""A cloud on one machine: a certificate store and domains behind a JSON interface, and an edge that serves them.

Interface (bearer token, JSON objects; an error is {"error": code}):
    GET  /v1/certificates                    {"certificates": [{"id", "name", "sha256"}]}
    POST /v1/certificates                    {"name", "chain", "key"} → 201 {"id", "name", "sha256"};
                                             409 with the certificate that has the name
    GET  /v1/domains                         {"domains": [{"name", "certificate_id", "sha256"}]}
    GET  /v1/domains/NAME                    one of them
    PUT  /v1/domains/NAME                    have a domain; {"chain", "key"} is its first certificate
    PUT  /v1/domains/NAME/certificate        {"certificate_id"}: serve it from the next handshake on
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request

from portal.sandbox.cloud_store import CloudStore, NameTaken, StoredCertificate, StoreError
from portal.sandbox.edge import CertificateFiles, Edge
from portal.sandbox.serving import WebServer

_STATUS = {
    "domain_not_found": 404,
    "certificate_not_found": 404,
    "name_taken": 409,
    "certificate_refused": 422,
}
_LARGEST_REQUEST = 1024 * 1024

Answer = tuple[Response, int] | Response


class SandboxCloud:
    """The store in `folder`, its interface (`wsgi`) and its `edge`. `start` serves both, each on a port of its own."""

    def __init__(self, folder: Path, token: str) -> None:
        self.store = CloudStore(folder)
        self.wsgi = _interface(self, token)
        self.edge = Edge(self._files_for)
        self._server = WebServer(self.wsgi)

    @property
    def url(self) -> str:
        """Where the interface answers while started."""
        return self._server.url

    @property
    def edge_address(self) -> str:
        """host:port of the TLS edge while started."""
        return self.edge.address

    def start(self, host: str = "127.0.0.1", port: int = 0, edge_port: int = 0) -> None:
        self.edge.start(host, edge_port)
        self._server.start(host, port)

    def stop(self) -> None:
        """Safe to repeat."""
        self._server.stop()
        self.edge.stop()

    def add_domain(self, domain: str, chain_pem: str = "", key_pem: str = "") -> StoredCertificate | None:
        """Have a domain, serving this certificate as if it had been deployed there before. Safe to repeat.

        Raises StoreError("certificate_refused").
        """
        self.store.add_domain(domain)
        if not chain_pem:
            return None
        try:
            stored = self.store.add_certificate(f"{domain}-first", chain_pem, key_pem)
        except NameTaken:
            stored = self.store.add_certificate(
                f"{domain}-{len(self.store.certificates())}", chain_pem, key_pem
            )
        self.store.bind(domain, stored.id)
        return stored

    def _files_for(self, server_name: str) -> CertificateFiles | None:
        stored = self.store.find_for(server_name)
        return CertificateFiles(*self.store.files(stored.id)) if stored else None


def _interface(cloud: SandboxCloud, token: str) -> Flask:
    """The JSON interface as a WSGI app."""
    app = Flask("sandbox_cloud", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_REQUEST

    @app.before_request
    def check_token() -> Answer | None:
        given = request.headers.get("Authorization", "").encode()
        return None if hmac.compare_digest(given, f"Bearer {token}".encode()) else _error("unauthorized", 401)

    @app.errorhandler(StoreError)
    def refuse(error: StoreError) -> Answer:
        more = _certificate(error.existing) if isinstance(error, NameTaken) else {}
        return jsonify({"error": error.code, **more}), _STATUS[error.code]

    _add_certificate_routes(app, cloud.store)
    _add_domain_routes(app, cloud)
    return app


def _add_certificate_routes(app: Flask, store: CloudStore) -> None:
    @app.get("/v1/certificates")
    def certificates() -> Answer:
        return jsonify({"certificates": [_certificate(one) for one in store.certificates()]})

    @app.post("/v1/certificates")
    def add_certificate() -> Answer:
        body = _body()
        stored = store.add_certificate(body["name"], body["chain"], body["key"])
        return jsonify(_certificate(stored)), 201


def _add_domain_routes(app: Flask, cloud: SandboxCloud) -> None:
    store = cloud.store

    @app.get("/v1/domains")
    def domains() -> Answer:
        return jsonify({"domains": [_domain(store, name) for name in store.domains()]})

    @app.get("/v1/domains/<name>")
    def domain(name: str) -> Answer:
        return jsonify(_domain(store, name))

    @app.put("/v1/domains/<name>")
    def add_domain(name: str) -> Answer:
        body = _body()
        cloud.add_domain(name, body["chain"], body["key"])
        return jsonify(_domain(store, name)), 201

    @app.put("/v1/domains/<name>/certificate")
    def bind(name: str) -> Answer:
        store.bind(name, _body()["certificate_id"])
        return jsonify(_domain(store, name))


def _body() -> Mapping[str, str]:
    """The request's JSON object as texts; what is missing is empty, and refused where it matters."""
    sent = request.get_json(silent=True)
    fields = ("name", "chain", "key", "certificate_id")
    return {field: str(sent.get(field, "")) if isinstance(sent, dict) else "" for field in fields}


def _error(code: str, status: int) -> Answer:
    return jsonify({"error": code}), status


def _certificate(stored: StoredCertificate) -> dict[str, str]:
    return {"id": stored.id, "name": stored.name, "sha256": stored.sha256}


def _domain(store: CloudStore, name: str) -> dict[str, Any]:
    stored = store.bound(name)
    return {
        "name": name.lower(),
        "certificate_id": stored.id if stored else None,
        "sha256": stored.sha256 if stored else None,
    }
