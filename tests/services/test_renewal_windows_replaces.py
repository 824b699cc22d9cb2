"""What a new order may name as replaced: never anybody else's certificate."""

from __future__ import annotations

from typing import Any

from portal.adapters.ca.ari import certificate_id
from portal.domain.certificate import split_pem
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.services import renewal_windows
from portal.services.renewal_windows import replaces_for
from tests import pki
from tests.factories import Cast, Factory
from tests.services.capacity import issued_by, issuer_key


def test_only_what_this_account_issued_here_is_named_as_replaced(factory: Factory, cast: Cast) -> None:
    """A foreign identifier inside the body would silence another owner's notices."""
    account = factory.ca_account("public")
    certificate = factory.certificate(cast.organisation, extensions=[issuer_key()])
    issued_by(account, certificate)
    renewal = factory.renewal(factory.hosting(certificate))
    assert replaces_for(renewal, account) == certificate_id(renewal_windows._leaf(certificate))
    assert replaces_for(renewal, factory.ca_account("other")) is None
    strangers = factory.certificate(cast.other_organisation, uploaded_by_another(certificate))
    theirs = factory.renewal(factory.hosting(strangers))
    assert replaces_for(theirs, account) is None
    strangers.ca_account_id = account.id
    db.session.commit()
    assert replaces_for(theirs, account) is None


def uploaded_by_another(certificate: Certificate) -> Any:
    """The same certificate again, as somebody else may upload it."""
    chain = split_pem(certificate.fullchain_pem)
    return pki.Made(chain[0], chain[1:], chain[-1], pki.key("ec-p256"))
