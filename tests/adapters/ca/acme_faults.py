"""What the tests of ACME's faults share: rules for the proxy, and ways to be refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from portal.adapters.ca.acme import AcmeCa
from portal.adapters.ca.base import CaSettings
from portal.adapters.errors import AdapterError
from tests.acme_proxy import Answer, Request
from tests.adapters.ca.acme_world import AcmeWorld
from tests.tls import loopback_tls

NAMES = ("fault.example.com",)


def failure_of(call: Callable[[], Any]) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        call()
    return caught.value


def order(world: AcmeWorld) -> Callable[[], Any]:
    return lambda: world.connect().new_order(NAMES)


def on(path: str, answer: Answer) -> Callable[[Request], Answer | None]:
    """A rule: answer POSTs to the path so."""
    return lambda request: answer if request.path.startswith(path) and request.method == "POST" else None


def once(rule: Callable[[Request], Answer | None]) -> Callable[[Request], Answer | None]:
    """The rule, the first time that it has an answer."""
    counter = itertools.count()

    def first(request: Request) -> Answer | None:
        answer = rule(request)
        return answer if answer is not None and next(counter) == 0 else None

    return first


def client(url: str, bundle: str | None = None, timeout: float = 5.0) -> AcmeCa:
    config = {"directory_url": url, "ca_bundle": bundle or loopback_tls().ca_bundle}
    return AcmeCa(CaSettings("away", config, AcmeCa.make_secrets({}), None, timeout))
