"""The forms that revoke a certificate and that choose the key of coming renewals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, RadioField, SelectField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Optional

from portal.domain.errors import DomainError
from portal.domain.renewal import KeySource
from portal.domain.revocation import RevocationReason
from portal.domain.signing_request import OFFERED_KEY_TYPES
from portal.models.hosting import Hosting
from portal.services.key_choosing import Choice
from portal.web.forms import BaseForm
from portal.web.messages import message_of

#: Reasons as people choose them, the pressing one first.
REASONS: Mapping[RevocationReason, Any] = {
    RevocationReason.KEY_COMPROMISE: _l("The private key is compromised"),
    RevocationReason.SUPERSEDED: _l("It was replaced by another certificate"),
    RevocationReason.CESSATION_OF_OPERATION: _l("The site is no longer operated"),
    RevocationReason.AFFILIATION_CHANGED: _l("The organisation has changed its name or owner"),
    RevocationReason.UNSPECIFIED: _l("Another reason, which is not given"),
}

SOURCES: Mapping[KeySource, Any] = {
    KeySource.NEW: _l("A new key for every renewal"),
    KeySource.REUSE: _l("The present key again"),
    KeySource.CSR: _l("My own key, by a certificate signing request"),
}

KEY_TYPE_NAMES: Mapping[str, Any] = {
    "ec-p256": _l("EC P-256: small and fast, for nearly everything"),
    "ec-p384": _l("EC P-384"),
    "rsa-2048": _l("RSA 2048: for old clients"),
    "rsa-3072": _l("RSA 3072"),
    "rsa-4096": _l("RSA 4096: slow handshakes"),
}

#: Which field a refusal is shown beside; every other one about a request is shown beside the request.
_KEY_FIELDS = {"key_reuse_without_key": "source", "key_type_not_offered": "key_type"}


def key_words(hosting: Hosting) -> str:
    """What is chosen for a hosting, in a line."""
    words = str(SOURCES[hosting.key_source])
    return f"{words} · {hosting.key_type.upper()}" if hosting.key_type else words


class RevokeForm(BaseForm):
    """Why, and that it is meant."""

    reason = RadioField(
        _l("Reason"),
        choices=[SelectChoice(str(reason.value), words) for reason, words in REASONS.items()],
        validators=[DataRequired(_l("Choose a reason."))],
    )
    is_understood = BooleanField(
        _l("I understand that this cannot be undone."), [DataRequired(_l("Please tick this."))]
    )

    def chosen(self) -> RevocationReason:
        """The reason; validated before."""
        return RevocationReason(int(self.reason.data))


class KeyForm(BaseForm):
    """Source, type, and the request where that is the source."""

    source = RadioField(
        _l("Key of coming renewals"),
        choices=[SelectChoice(source.value, words) for source, words in SOURCES.items()],
    )
    key_type = SelectField(_l("Type of new keys"), [Optional()])
    csr = TextAreaField(_l("Certificate signing request (PEM)"), [Optional()])

    def offer(self, present: str) -> None:
        """Fill in the types that can be chosen beside the present one."""
        same = SelectChoice("", str(_l("As now (%(type)s)", type=present.upper())))
        others = [SelectChoice(one, KEY_TYPE_NAMES[one]) for one in OFFERED_KEY_TYPES]
        self.key_type.choices = [same, *others]

    def chosen(self) -> Choice:
        """What was chosen; what it means is the service's to judge."""
        source = KeySource(self.source.data)
        return Choice(source, self.key_type.data or None, self.csr.data or "")

    def show_refusal(self, error: DomainError) -> None:
        """Say why beside the field; a private key that was pasted is forgotten."""
        if error.code == "csr_private_key":
            self.csr.data = None
        self.refuse(message_of(error), _KEY_FIELDS.get(error.code, "csr"))
