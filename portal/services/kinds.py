"""Every kind of operation, in the order in which due ones are rung for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portal.services import (
    crl_reading,
    deployment_steps,
    hosting_checks,
    noticing,
    order_steps,
    renewal_steps,
    replacing,
    revocation_steps,
)
from portal.services.operations import Kind

KINDS: Mapping[str, Kind[Any]] = {
    kind.name: kind
    for kind in (
        order_steps.KIND,
        renewal_steps.KIND,
        deployment_steps.KIND,
        noticing.KIND,
        replacing.KIND,
        revocation_steps.KIND,
        hosting_checks.KIND,
        crl_reading.KIND,
    )
}
