"""How an organisation's names are proved to CAs, the credentials for it, and what is checked while hosted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain.checks import CheckState, CheckSubject
from portal.domain.validation import ValidationMethod
from portal.extensions import Model
from portal.models.catalogue import CaAccount
from portal.models.hosting import Hosting
from portal.models.operation import Operation, attention_index, due_index
from portal.models.types import EnumText, Moment, PlainJson, RowId, ShortText, UtcDateTime


class DnsCredential(Model):
    """A customer's credentials at a DNS provider. `kind` names adapters/dns; `secrets` is an envelope of JSON."""

    __tablename__ = "dns_credentials"
    __table_args__ = (
        UniqueConstraint("organisation_id", "name", name="uq_dns_credentials_organisation_name"),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[ShortText]
    kind: Mapped[str] = mapped_column(String(32))
    config: Mapped[dict[str, Any]] = mapped_column(PlainJson)
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    error_code: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[Moment]


class DelegationZone(Model):
    """The service's own zone that customers' _acme-challenge names point into; there is one, or none.

    `resolver` (address:port) is asked when it is tried out; None means the system's. Until `verified_at` is set, by a
    probe record written and read back, nobody is offered a delegation.
    """

    __tablename__ = "delegation_zones"

    id: Mapped[RowId]
    zone: Mapped[str] = mapped_column(String(255), unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    config: Mapped[dict[str, Any]] = mapped_column(PlainJson)
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    resolver: Mapped[str | None] = mapped_column(String(255))
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]


class DomainValidation(Model):
    """How one name of an organisation is proved. `name` has no wildcard label.

    `delegation_label` is random and the organisation's own: _acme-challenge.<name> is to be a CNAME of
    <label>.<zone>. `result_code` is the worst finding of the last rehearsal (None: all well), with its parameters.
    `proved_at` is when a CA last accepted a proof of the name from this organisation.
    """

    __tablename__ = "domain_validations"
    __table_args__ = (
        UniqueConstraint("organisation_id", "name", name="uq_domain_validations_organisation_name"),
        Index("ix_domain_validations_name", "name"),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    method: Mapped[ValidationMethod] = mapped_column(EnumText(ValidationMethod))
    delegation_label: Mapped[str] = mapped_column(String(63), unique=True)
    dns_credential_id: Mapped[str | None] = mapped_column(ForeignKey("dns_credentials.id"))
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    result_code: Mapped[str | None] = mapped_column(String(64))
    result_severity: Mapped[str | None] = mapped_column(String(16))
    result_params: Mapped[dict[str, Any] | None] = mapped_column(PlainJson)
    proved_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]

    dns_credential: Mapped[DnsCredential | None] = relationship()


class ValidationRecord(Model):
    """A TXT record that a renewal has, or may have, put somewhere: written before the record, gone after it.

    Where: at the service's provider (DELEGATION), at a customer's (`dns_credential_id`), or at that of the CA account.
    """

    __tablename__ = "validation_records"
    __table_args__ = (
        UniqueConstraint("renewal_id", "fqdn", "value", name="uq_validation_records_renewal_fqdn_value"),
        Index("ix_validation_records_place", "fqdn", "value"),
    )

    id: Mapped[RowId]
    renewal_id: Mapped[str] = mapped_column(ForeignKey("renewals.id"))
    method: Mapped[ValidationMethod] = mapped_column(EnumText(ValidationMethod))
    ca_account_id: Mapped[str] = mapped_column(ForeignKey("ca_accounts.id"))
    dns_credential_id: Mapped[str | None] = mapped_column(ForeignKey("dns_credentials.id"))
    fqdn: Mapped[str] = mapped_column(String(255))
    value: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[Moment]

    ca_account: Mapped[CaAccount] = relationship()
    dns_credential: Mapped[DnsCredential | None] = relationship()


class HostingCheck(Operation, Model):
    """Something looked at again and again while a hosting lives; `next_attempt_at` is the next look."""

    __tablename__ = "hosting_checks"
    __table_args__ = (
        UniqueConstraint("hosting_id", "subject", name="uq_hosting_checks_hosting_subject"),
        due_index("hosting_checks"),
        attention_index("hosting_checks"),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    hosting_id: Mapped[str] = mapped_column(ForeignKey("hostings.id"), index=True)
    subject: Mapped[CheckSubject] = mapped_column(EnumText(CheckSubject))
    state: Mapped[CheckState] = mapped_column(EnumText(CheckState))
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]

    hosting: Mapped[Hosting] = relationship()
