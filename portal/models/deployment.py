"""Cloud accounts, the targets in them, and what was deployed where."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain.deployment import DeploymentState
from portal.extensions import Model
from portal.models.certificate import Certificate
from portal.models.operation import Operation, attention_index, due_index
from portal.models.types import EnumText, Moment, PlainJson, RowId, ShortText, UtcDateTime


class CloudAccount(Model):
    """A customer's credentials at a cloud. `provider` names adapters/cloud; `secrets` is an envelope of JSON."""

    __tablename__ = "cloud_accounts"
    __table_args__ = (
        UniqueConstraint("organisation_id", "name", name="uq_cloud_accounts_organisation_name"),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[ShortText]
    provider: Mapped[str] = mapped_column(String(32))
    config: Mapped[dict[str, Any]] = mapped_column(PlainJson)
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    error_code: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[Moment]


class DeploymentTarget(Model):
    """A domain on a cloud product. `certificate_id` is what was last seen live there.

    `live_address` is host:port for the live check where DNS does not (yet) point at the edge; None means
    `domain`:443. `live_host` is the name to ask for by SNI where the domain is a wildcard.
    """

    __tablename__ = "deployment_targets"
    __table_args__ = (
        UniqueConstraint(
            "cloud_account_id", "product", "domain", name="uq_deployment_targets_account_product_domain"
        ),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    cloud_account_id: Mapped[str] = mapped_column(ForeignKey("cloud_accounts.id"))
    product: Mapped[str] = mapped_column(String(32))
    domain: Mapped[str] = mapped_column(String(255))
    live_address: Mapped[str | None] = mapped_column(String(255))
    live_host: Mapped[str | None] = mapped_column(String(255))
    is_automatic: Mapped[bool] = mapped_column(Boolean, default=True)
    certificate_id: Mapped[str | None] = mapped_column(ForeignKey("certificates.id"), index=True)
    served_sha256: Mapped[str | None] = mapped_column(String(64))
    served_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]

    cloud_account: Mapped[CloudAccount] = relationship()
    certificate: Mapped[Certificate | None] = relationship()


class CloudUpload(Model):
    """A certificate in a cloud's certificate store: uploaded once per account and site, however many targets."""

    __tablename__ = "cloud_uploads"
    __table_args__ = (
        UniqueConstraint(
            "cloud_account_id", "site", "certificate_id", name="uq_cloud_uploads_account_site_certificate"
        ),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    cloud_account_id: Mapped[str] = mapped_column(ForeignKey("cloud_accounts.id"))
    site: Mapped[str] = mapped_column(String(32))
    certificate_id: Mapped[str] = mapped_column(ForeignKey("certificates.id"), index=True)
    remote_id: Mapped[ShortText]
    created_at: Mapped[Moment]


class Deployment(Operation, Model):
    """Bringing one certificate to one target. `bound_at` starts the propagation time."""

    __tablename__ = "deployments"
    __table_args__ = (
        UniqueConstraint("target_id", "certificate_id", name="uq_deployments_target_certificate"),
        due_index("deployments"),
        attention_index("deployments", "stopped_at IS NOT NULL OR state = 'not_live'"),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    target_id: Mapped[str] = mapped_column(ForeignKey("deployment_targets.id"), index=True)
    certificate_id: Mapped[str] = mapped_column(ForeignKey("certificates.id"), index=True)
    renewal_id: Mapped[str | None] = mapped_column(ForeignKey("renewals.id"), index=True)
    state: Mapped[DeploymentState] = mapped_column(EnumText(DeploymentState))
    remote_id: Mapped[str | None] = mapped_column(String(255))
    bound_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    served_sha256: Mapped[str | None] = mapped_column(String(64))
    live_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]

    target: Mapped[DeploymentTarget] = relationship()
    certificate: Mapped[Certificate] = relationship()
