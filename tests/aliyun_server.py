"""Alibaba Cloud at protocol level: signed RPC over HTTP, a certificate store, DNS, CDN domains, a TLS edge behind them.

Nothing of the SDK is used here. In a test: `with AliyunServer() as server:`. As a process of its own:
`python -m tests.aliyun_server [--domain NAME]…` prints one JSON line with its addresses and serves until SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from werkzeug.wrappers import Request, Response

from portal.sandbox.edge import CertificateFiles, Edge
from portal.sandbox.serving import WebServer
from tests.aliyun import signature
from tests.aliyun.alidns import AliDns
from tests.aliyun.cas import CasStore, Upload
from tests.aliyun.cdn import CdnDomains
from tests.cloud_faults import Fault, Faults, json_refusals

ACCESS_KEY_ID = "LTAI5tTestAccessKey"
ACCESS_KEY_SECRET = "test-access-key-secret"


def _error(code: str) -> dict[str, str]:
    return {
        "Code": code,
        "Message": f"The request was refused: {code}.",
        "RequestId": "F0A1-REQUEST-ID",
        "HostId": "test",
    }


_REFUSALS = {
    Fault.THROTTLED: (400, _error("Throttling.User")),
    Fault.UNAVAILABLE: (503, _error("ServiceUnavailable")),
    Fault.FORBIDDEN: (403, _error("Forbidden.RAM")),
    Fault.BAD_CREDENTIALS: (404, _error("InvalidAccessKeyId.NotFound")),
    Fault.VANISHED: (404, _error("InvalidDomain.NotFound")),
}


@dataclass(frozen=True)
class Call:
    """A call as it came in. `query` should be empty: what is in it ends up in logs on the way."""

    action: str
    query: str
    parameters: Mapping[str, str]


class AliyunServer:
    """`url` answers for CAS, CDN and AliDNS; `edge_address` is where bound certificates are served.

    `calls`, `uploads` and `bindings` record what happened; `faults.add(action, fault, times)` makes trouble;
    `refuse_next(action, status, code)` answers any other error.
    """

    def __init__(self, key_id: str = ACCESS_KEY_ID, secret: str = ACCESS_KEY_SECRET) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="aliyun-")
        self.signatures = signature.Signatures({key_id: secret})
        self.cas = CasStore(Path(self._folder.name))
        self.cdn = CdnDomains(self.cas)
        self.dns = AliDns()
        self.faults = Faults(json_refusals(_REFUSALS))
        self.calls: list[Call] = []
        self._edge = Edge(self._files_for)
        self._refusals: dict[str, list[signature.Refusal]] = {}
        self._server = WebServer(self)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._edge.start(host)
        self._server.start(host, port)

    def stop(self) -> None:
        self._server.stop()
        self._edge.stop()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def endpoints(self) -> dict[str, str]:
        """For CloudSettings.endpoints and PORTAL_ALIYUN_ENDPOINTS."""
        return {"cas": self.url, "cdn": self.url, "alidns": self.url}

    @property
    def edge_address(self) -> str:
        return self._edge.address

    @property
    def uploads(self) -> list[Upload]:
        return self.cas.uploads

    @property
    def bindings(self) -> list[tuple[str, int]]:
        """Each binding that took effect: domain and certificate id."""
        return self.cdn.bindings

    def count(self, action: str) -> int:
        """How often an action was called with a good signature."""
        return Counter(call.action for call in self.calls)[action]

    def add_domain(
        self, domain: str, fullchain_pem: str = "", key_pem: str = "", status: str = "online"
    ) -> None:
        """Accelerate a domain; a certificate given is uploaded and bound as if that had been done last year.

        That counts neither as a call nor as a binding.
        """
        self.cdn.status[domain] = status
        if fullchain_pem:
            form = {
                "Name": f"first-{domain.lstrip('.')}"[:63],
                "Cert": fullchain_pem,
                "Key": _traditional(key_pem),
            }
            self.cdn.bound[domain] = int(self.cas.upload_user_certificate(form)["CertId"])

    def refuse_next(self, action: str, status: int, code: str) -> None:
        """Answer the next call of this action with an error."""
        self._refusals.setdefault(action, []).append(signature.Refusal(status, code))

    def bound_sha256(self, domain: str) -> str | None:
        upload = self.cdn.bound_upload(domain)
        return upload.sha256 if upload else None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        try:
            answer = self._answer(request)
        except signature.Refusal as refusal:
            answer = _json(_error(refusal.code), refusal.status)
        return answer(environ, start_response)

    def _answer(self, request: Request) -> Response:
        body = request.get_data()
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = request.query_string.decode()
        self.signatures.check(signature.Request(request.method, request.path, query, headers, body))
        action = headers.get("x-acs-action", "")
        form = dict(parse_qsl(body.decode(), keep_blank_values=True)) | dict(parse_qsl(query))
        perform = self._actions(headers.get("x-acs-version", "")).get(action)
        if perform is None:
            raise signature.Refusal(404, "InvalidAction.NotFound")
        self.calls.append(Call(action, query, form))
        about = form.get("DomainName") or form.get("CertId") or form.get("Name") or ""
        return self.faults.around(action, about, request, lambda: self._perform(action, perform, form))

    def _perform(
        self, action: str, perform: Callable[[Mapping[str, str]], dict[str, Any]], form: Mapping[str, str]
    ) -> Response:
        if self._refusals.get(action):
            raise self._refusals[action].pop(0)
        return _json({"RequestId": "F0A1-REQUEST-ID", **perform(form)}, 200)

    def _actions(self, version: str) -> Mapping[str, Callable[[Mapping[str, str]], dict[str, Any]]]:
        actions: dict[str, dict[str, Callable[[Mapping[str, str]], dict[str, Any]]]] = {
            "2020-04-07": {
                "UploadUserCertificate": self.cas.upload_user_certificate,
                "ListUserCertificateOrder": self.cas.list_user_certificate_order,
                "GetUserCertificateDetail": self.cas.get_user_certificate_detail,
            },
            "2018-05-10": {
                "SetCdnDomainSSLCertificate": self.cdn.set_cdn_domain_ssl_certificate,
                "DescribeDomainCertificateInfo": self.cdn.describe_domain_certificate_info,
                "DescribeUserDomains": self.cdn.describe_user_domains,
            },
            "2015-01-09": {
                "DescribeDomains": self.dns.describe_domains,
                "DescribeDomainRecords": self.dns.describe_domain_records,
                "AddDomainRecord": self.dns.add_domain_record,
                "DeleteDomainRecord": self.dns.delete_domain_record,
            },
        }
        return actions.get(version, {})

    def _files_for(self, server_name: str) -> CertificateFiles | None:
        upload = self.cdn.served(server_name)
        return CertificateFiles(*self.cas.files(upload.id)) if upload else None


def _traditional(key_pem: str) -> str:
    """A key in the format that an upload must have."""
    key = load_pem_private_key(key_pem.encode(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def _json(body: Mapping[str, Any], status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json;charset=utf-8")


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", action="append", default=[])
    parser.add_argument("--key-id", default=ACCESS_KEY_ID)
    parser.add_argument("--secret", default=ACCESS_KEY_SECRET)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with AliyunServer(options.key_id, options.secret) as server:
        for domain in options.domain:
            server.add_domain(domain)
        print(json.dumps({"url": server.url, "edge": server.edge_address}), flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
