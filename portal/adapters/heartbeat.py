"""Telling an outside watcher that all is well: one GET of an address that misses us when it is not asked any more."""

from __future__ import annotations

from collections.abc import Sequence

import requests

from portal.adapters import outbound
from portal.adapters.errors import AdapterError


def ping(url: str, *, timeout: float, allowed_networks: Sequence[str] = ()) -> None:
    """Ask for `url`; any answer below 400 will do.

    Raises AdapterError: heartbeat_unanswered (temporary), outbound_address_forbidden (permanent).
    """
    with outbound.session(timeout=timeout, allowed_networks=allowed_networks) as session:
        try:
            status = session.get(url, allow_redirects=False).status_code
        except requests.RequestException as error:
            raise AdapterError("heartbeat_unanswered", permanent=False, reason=type(error).__name__) from None
    if status >= 400:
        raise AdapterError("heartbeat_unanswered", permanent=False, reason=str(status))
