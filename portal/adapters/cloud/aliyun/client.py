"""Calling Alibaba Cloud: RPC style, JSON answers, parameters in a form body, signature ACS3-HMAC-SHA256.

The generated product SDKs put every parameter into the query string, and an exception on a lost connection carries
the whole URL: a private key among the parameters would reach a log that way. So calls go through the official core
with a form body, and of an exception only status and code are kept, never its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from portal.adapters.cloud import errors
from portal.adapters.cloud.aliyun.answers import failure_of
from portal.adapters.cloud.base import CloudSettings
from portal.adapters.errors import AdapterError

#: The regions that have a certificate store; a site is one of them.
SITES = ("cn-hangzhou", "ap-southeast-1")


class AliyunClient:
    """One product's API in one account: its name, its version and its usual host."""

    def __init__(self, settings: CloudSettings, product: str, version: str, host: str) -> None:
        self._settings = settings
        self._version = version
        address = settings.endpoints.get(product) or f"https://{host}"
        self._protocol, _, self._endpoint = address.rstrip("/").partition("://")

    def call(self, action: str, **parameters: str | int | bool) -> Mapping[str, Any]:
        """One exchange. Raises AdapterError, made by answers.failure_of."""
        from Tea.exceptions import TeaException

        try:
            body = self._exchange(action, parameters)
        except TeaException as error:
            failure = failure_of(error, action)
        else:
            return body
        raise failure  # outside of the handler, so that it does not carry the SDK's exception along

    def _exchange(self, action: str, parameters: Mapping[str, str | int | bool]) -> Mapping[str, Any]:
        from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params
        from darabonba.runtime import RuntimeOptions

        params = Params(
            action=action,
            version=self._version,
            protocol=self._protocol,
            pathname="/",
            method="POST",
            auth_type="AK",
            style="RPC",
            req_body_type="formData",
            body_type="json",
        )
        form = {name: _form_text(value) for name, value in parameters.items()}
        answer = self._core.call_api(params, OpenApiRequest(body=form), RuntimeOptions())
        body = answer["body"]
        return body if isinstance(body, dict) else {}

    @cached_property
    def _core(self) -> Any:
        """The official core. Imported here: it takes half a second, and most processes never need it."""
        from alibabacloud_tea_openapi.client import Client
        from alibabacloud_tea_openapi.utils_models import Config

        milliseconds = int(self._settings.timeout * 1000)
        key_id = self._settings.config.get("access_key_id")
        secret = self._settings.secrets.get("access_key_secret")
        if not key_id or not secret:
            raise AdapterError(errors.CREDENTIALS, permanent=True)
        config = Config(
            access_key_id=key_id,
            access_key_secret=secret,
            protocol=self._protocol,
            endpoint=self._endpoint,
            region_id=self._settings.config.get("site") or SITES[0],
            connect_timeout=milliseconds,
            read_timeout=milliseconds,
        )
        return Client(config)


def _form_text(value: str | int | bool) -> str:
    """A parameter as the wire wants it: booleans in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)
