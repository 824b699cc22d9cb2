"""Proving domains: putting a CA's challenges where it will look, and taking them away again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from portal.adapters.ca.base import Authorization, CaOrder, Challenge, ChallengeKind
from portal.adapters.dns.delegation import follow_delegation
from portal.adapters.errors import AdapterError
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import ChallengeResponse, Renewal
from portal.services import ca_accounts
from portal.services.operations import leave_transaction


def chosen_challenge(account: CaAccount, authorization: Authorization) -> Challenge:
    """The challenge of the account's method; wildcard names can only be proved by DNS (RFC 8555, 8.4).

    Raises AdapterError("challenge_not_offered", permanent).
    """
    wanted = ChallengeKind(account.config.get("challenge", ChallengeKind.DNS_01))
    if authorization.is_wildcard:
        wanted = ChallengeKind.DNS_01
    offered = next((one for one in authorization.challenges if one.kind is wanted), None)
    if offered is None:
        raise AdapterError(
            "challenge_not_offered", permanent=True, name=authorization.name, method=wanted.value
        )
    return offered


def to_answer(account: CaAccount, order: CaOrder) -> tuple[Challenge, ...]:
    """The challenges that the CA is to be told of: one for every name that is still pending."""
    return tuple(chosen_challenge(account, one) for one in order.authorizations if one.is_pending)


def present(renewal: Renewal, account: CaAccount, order: CaOrder, now: datetime) -> None:
    """Put the proof of every pending name in place. Safe to repeat."""
    pending = [one for one in order.authorizations if one.is_pending]
    chosen = [(one, chosen_challenge(account, one)) for one in pending]
    for authorization, challenge in chosen:
        if challenge.kind is ChallengeKind.HTTP_01:
            _present_over_http(renewal, challenge, now)
        else:
            _present_in_dns(account, authorization, challenge)


def clear(renewal: Renewal, account: CaAccount, order: CaOrder) -> None:
    """Take every proof away again. Safe to repeat; a record that is gone already is fine."""
    db.session.execute(delete(ChallengeResponse).where(ChallengeResponse.renewal_id == renewal.id))
    leave_transaction()
    for authorization in order.authorizations:
        for challenge in authorization.challenges:
            if challenge.kind is ChallengeKind.DNS_01 and _is_proved_by_dns(account, authorization):
                provider = ca_accounts.dns_provider(account)
                provider.remove_txt(_txt_name(account, authorization), challenge.dns_value)


def find_response(token: str) -> str | None:
    """The key authorization to serve for an http-01 token."""
    return db.session.scalar(
        select(ChallengeResponse.key_authorization).where(ChallengeResponse.token == token)
    )


def _is_proved_by_dns(account: CaAccount, authorization: Authorization) -> bool:
    return authorization.is_wildcard or account.config.get("challenge") != ChallengeKind.HTTP_01.value


def _txt_name(account: CaAccount, authorization: Authorization) -> str:
    return follow_delegation(f"_acme-challenge.{authorization.name}", account.config.get("resolver"))


def _present_in_dns(account: CaAccount, authorization: Authorization, challenge: Challenge) -> None:
    ca_accounts.dns_provider(account).add_txt(_txt_name(account, authorization), challenge.dns_value)


def _present_over_http(renewal: Renewal, challenge: Challenge, now: datetime) -> None:
    response = ChallengeResponse(
        token=challenge.token,
        renewal_id=renewal.id,
        key_authorization=challenge.key_authorization,
        created_at=now,
    )
    db.session.merge(response)
    leave_transaction()
