"""The sandbox cloud (portal.sandbox.cloud) as a cloud product: the same promises, a plain JSON interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests

from portal.adapters import outbound
from portal.adapters.cloud import errors
from portal.adapters.cloud.base import CloudSettings, Material
from portal.adapters.errors import AdapterError

_BY_STATUS = {
    401: errors.CREDENTIALS,
    403: errors.PERMISSION,
    404: errors.TARGET_GONE,
    409: errors.TARGET_REFUSED,
    422: errors.CERTIFICATE_REFUSED,
    429: errors.THROTTLED,
}
_CONFLICT = 409
#: How many variants of a name are tried where others took it.
_VARIANTS = 5


class SandboxProduct:
    """One account at a sandbox cloud. See portal.adapters.cloud.base.CloudProductAdapter for the promises."""

    site = "sandbox"

    def __init__(self, settings: CloudSettings) -> None:
        self._url = str(settings.config["url"]).rstrip("/")
        self._session = outbound.session(timeout=settings.timeout, allowed_networks=settings.allowed_networks)
        self._session.headers["Authorization"] = f"Bearer {settings.secrets.get('token', '')}"

    def check_credentials(self) -> None:
        self._call("GET", "/v1/domains")

    def upload(self, material: Material) -> str:
        """A name that is taken by this very certificate is the answer to an upload that was lost."""
        for number in range(1, _VARIANTS + 1):
            name = material.name if number == 1 else f"{material.name}-{number}"
            body = {"name": name, "chain": material.fullchain_pem, "key": material.key_pem}
            status, answer = self._exchange("POST", "/v1/certificates", body)
            if status != _CONFLICT:
                return str(_accept(status, answer, "upload")["id"])
            if answer.get("sha256") == material.sha256:
                return str(answer["id"])
        raise AdapterError(errors.CERTIFICATE_REFUSED, permanent=True, action="upload")

    def bind(self, domain: str, remote_id: str) -> None:
        self._call("PUT", f"/v1/domains/{_segment(domain)}/certificate", {"certificate_id": remote_id})

    def bound_sha256(self, domain: str) -> str | None:
        sha256 = self._call("GET", f"/v1/domains/{_segment(domain)}").get("sha256")
        return str(sha256) if sha256 else None

    def list_domains(self) -> tuple[str, ...]:
        return tuple(str(row["name"]) for row in self._call("GET", "/v1/domains").get("domains", ()))

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        status, answer = self._exchange(method, path, body)
        return _accept(status, answer, f"{method} {path}")

    def _exchange(
        self, method: str, path: str, body: Mapping[str, str] | None
    ) -> tuple[int, Mapping[str, Any]]:
        """One exchange: status and JSON object. Whatever is no such answer is a lost one."""
        try:
            response = self._session.request(method, self._url + path, json=body, allow_redirects=False)
            answer = response.json()
        except requests.RequestException:  # its text may hold what was sent
            answer = None
        except AdapterError as error:  # the address is not one that the portal may connect to
            raise AdapterError(errors.REFUSED, permanent=True, cloud_code=error.code) from None
        if not isinstance(answer, dict):
            raise AdapterError(errors.UNAVAILABLE, permanent=False, action=f"{method} {path}")
        return response.status_code, answer


def _accept(status: int, answer: Mapping[str, Any], action: str) -> Mapping[str, Any]:
    """The answer of a call that succeeded. Raises AdapterError for any other status."""
    if status < 300:
        return answer
    code = errors.UNAVAILABLE if status >= 500 else _BY_STATUS.get(status, errors.REFUSED)
    if answer.get("error") == "certificate_not_found":
        code = errors.CERTIFICATE_REFUSED
    raise AdapterError(code, permanent=code not in errors.TEMPORARY, action=action, status=status)


def _segment(domain: str) -> str:
    """A domain as one path segment; ".example.com" and "*.example.com" are the same wildcard."""
    return quote(f"*{domain}" if domain.startswith(".") else domain, safe="*.")
