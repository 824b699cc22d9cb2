"""Certificates as they are stored."""

from __future__ import annotations

from typing import Any

from portal.adapters.key_vault import Place
from portal.domain.certificate import read_facts
from portal.domain.crl import crl_url_of
from portal.domain.spec import Grade, ValidationType, domain_type_of
from portal.models.account import Organisation
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate, Source
from portal.models.types import new_id
from tests import pki
from tests.rows.base import Maker


def _said(made: pki.Made) -> dict[str, Any]:
    """The columns that a certificate itself fills."""
    facts = read_facts(made.leaf)
    return {
        "name": facts.names[0],
        "names": list(facts.names),
        "names_text": " ".join(facts.names),
        "domain_type": domain_type_of(facts.names),
        "issuer": facts.issuer,
        "serial": facts.serial,
        "sha256": facts.sha256,
        "key_type": facts.key_type,
        "not_before": facts.not_before,
        "not_after": facts.not_after,
        "has_client_auth": facts.has_client_auth,
        "leaf_pem": made.leaf_pem,
        "chain_pem": made.chain_pem,
        "crl_url": crl_url_of(made.leaf),
    }


class CertificateMaker(Maker):
    def certificate(
        self,
        organisation: Organisation,
        made: pki.Made | None = None,
        *,
        source: Source = Source.UPLOADED,
        with_key: bool = True,
        validation_type: ValidationType | None = ValidationType.DV,
        brand: str | None = "perennial",
        grade: Grade | None = Grade.BASIC,
        predecessor: Certificate | None = None,
        ca_account: CaAccount | None = None,
        **making: Any,
    ) -> Certificate:
        """An uploaded certificate with a confirmed specification; `making` goes to pki.make_certificate."""
        made = made or pki.make_certificate(**{"now": self.now, **making})
        row = new_id()
        place = Place(organisation.id, "certificates", row, "private_key")
        return self.add(
            Certificate(
                id=row,
                organisation_id=organisation.id,
                source=source,
                **_said(made),
                validation_type=validation_type,
                brand=brand,
                grade=grade,
                private_key=self.seal_key(made.key, place) if with_key else None,
                predecessor_id=predecessor.id if predecessor else None,
                ca_account_id=ca_account.id if ca_account else None,
                created_at=self.now,
            )
        )
