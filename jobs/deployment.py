"""Deployments: every step that need not wait."""

from __future__ import annotations

from portal.clock import utc_now
from portal.services.deployment_steps import KIND
from portal.services.driving import drive_all


def advance(*deployment_ids: str) -> None:
    """Drive these deployments on."""
    drive_all(KIND, deployment_ids, utc_now)
