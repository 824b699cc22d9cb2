"""Cloud accounts, targets, deployments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from portal.adapters.key_vault import Place
from portal.domain.deployment import DeploymentState
from portal.models.account import Organisation
from portal.models.certificate import Certificate
from portal.models.deployment import CloudAccount, Deployment, DeploymentTarget
from portal.models.types import new_id
from tests.rows.base import Maker


class CloudMaker(Maker):
    def cloud_account(
        self,
        organisation: Organisation,
        provider: str = "sandbox",
        config: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> CloudAccount:
        row = new_id()
        place = Place(organisation.id, "cloud_accounts", row, "secrets")
        return self.add(
            CloudAccount(
                id=row,
                organisation_id=organisation.id,
                name=name or f"cloud-{self.number()}",
                provider=provider,
                config=dict(config or {}),
                secrets=self.seal_json(secrets or {}, place),
                created_at=self.now,
            )
        )

    def target(
        self,
        account: CloudAccount,
        domain: str = "shop.example.com",
        *,
        product: str = "cdn",
        certificate: Certificate | None = None,
        live_address: str | None = None,
        is_automatic: bool = True,
    ) -> DeploymentTarget:
        return self.add(
            DeploymentTarget(
                id=new_id(),
                organisation_id=account.organisation_id,
                cloud_account_id=account.id,
                product=product,
                domain=domain,
                live_address=live_address,
                is_automatic=is_automatic,
                certificate_id=certificate.id if certificate else None,
                served_sha256=certificate.sha256 if certificate else None,
                served_at=self.now if certificate else None,
                created_at=self.now,
            )
        )

    def deployment(
        self,
        target: DeploymentTarget,
        certificate: Certificate,
        *,
        state: DeploymentState = DeploymentState.PENDING,
        due: timedelta | None = timedelta(0),
        **columns: Any,
    ) -> Deployment:
        """A deployment that is due `due` after now (None: never)."""
        return self.add(
            Deployment(
                id=new_id(),
                organisation_id=target.organisation_id,
                target_id=target.id,
                certificate_id=certificate.id,
                state=state,
                next_attempt_at=None if due is None else self.now + due,
                created_at=self.now,
                **columns,
            )
        )
