"""Certificates: uploaded or issued here, each a version in a line of predecessor and successor."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.spec import DomainType, Grade, Spec, ValidationType
from portal.extensions import Model
from portal.models.types import EnumText, Moment, PlainJson, RowId, ShortText, UtcDateTime


class Source(StrEnum):
    UPLOADED = "uploaded"
    ISSUED = "issued"


class Certificate(Model):
    """One certificate with its chain; `private_key` is an envelope of its PKCS#8 DER, or None (public part only).

    The specification's parts are None until the customer confirms what an upload cannot tell. `ca_account_id` is the
    account that issued it here; `crl_url` the revocation list it names (empty: none, None: not looked at yet);
    `applicant` what OV and EV brands were told.
    """

    __tablename__ = "certificates"
    __table_args__ = (
        UniqueConstraint("organisation_id", "sha256", name="uq_certificates_organisation_sha256"),
        Index("ix_certificates_list", "organisation_id", "not_after", "id"),
        Index("ix_certificates_crl", "crl_url", "serial"),
        Index("ix_certificates_issued", "ca_account_id", "created_at", "id"),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    source: Mapped[Source] = mapped_column(EnumText(Source))
    name: Mapped[ShortText]
    names: Mapped[list[str]] = mapped_column(PlainJson)
    names_text: Mapped[str] = mapped_column(Text)
    domain_type: Mapped[DomainType] = mapped_column(EnumText(DomainType))
    validation_type: Mapped[ValidationType | None] = mapped_column(EnumText(ValidationType))
    brand: Mapped[str | None] = mapped_column(String(64))
    grade: Mapped[Grade | None] = mapped_column(EnumText(Grade))
    issuer: Mapped[ShortText]
    serial: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    key_type: Mapped[str] = mapped_column(String(32))
    not_before: Mapped[Moment]
    not_after: Mapped[Moment]
    leaf_pem: Mapped[str] = mapped_column(Text)
    chain_pem: Mapped[str] = mapped_column(Text)
    private_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    ca_account_id: Mapped[str | None] = mapped_column(ForeignKey("ca_accounts.id"))
    crl_url: Mapped[str | None] = mapped_column(Text)
    applicant: Mapped[dict[str, Any] | None] = mapped_column(PlainJson)
    has_client_auth: Mapped[bool] = mapped_column(Boolean, default=False)
    predecessor_id: Mapped[str | None] = mapped_column(ForeignKey("certificates.id"), index=True)
    replaced_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]
    version: Mapped[int] = mapped_column(Integer, default=1)

    @property
    def spec(self) -> Spec | None:
        """The whole specification, or None while parts of it are unconfirmed."""
        if self.validation_type is None or self.brand is None or self.grade is None:
            return None
        return Spec(self.domain_type, self.validation_type, self.brand, self.grade)

    @property
    def fullchain_pem(self) -> str:
        """Leaf first, then the intermediates."""
        return self.leaf_pem + self.chain_pem
