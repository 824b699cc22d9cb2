"""The forms of domain validation. Fields of a DNS provider come from its own declaration; secrets are never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Field as FormField
from wtforms import PasswordField, RadioField, SelectField, StringField
from wtforms.validators import DataRequired, Optional

from portal.adapters.errors import AdapterError
from portal.adapters.fields import Field
from portal.domain.errors import DomainError
from portal.domain.validation import ValidationMethod
from portal.services import dns_credentials
from portal.web.forms import BaseForm, at_most, filled, stripped
from portal.web.messages import message_for, message_of

#: Names of fields are the provider's own behind this prefix, so that they meet none of ours.
PREFIX = "given_"


#: What a code means where credentials are tried out, and nothing is being validated.
_TRIED_OUT: Mapping[str, Any] = {
    "dns_refused": _l(
        "The DNS server refuses changes signed with this key. Compare zone, key name, key and algorithm with its "
        "configuration, and see whether the key may update the zone."
    ),
    "dns_unavailable": _l(
        "The DNS provider does not answer. Check its address, or try again in a little while."
    ),
}


def tried_out(code: str, params: Mapping[str, Any] | None = None) -> str:
    """Why credentials did not work."""
    return str(_TRIED_OUT[code]) if code in _TRIED_OUT else message_for(code, params)


class MethodForm(BaseForm):
    """One of the ways, and the credentials where they are the way."""

    method = RadioField(choices=[one.value for one in ValidationMethod], validators=[DataRequired()])
    credential = StringField(validators=[Optional(), at_most(100)])

    def chosen(self) -> ValidationMethod:
        """The way; validated before."""
        return ValidationMethod(self.method.data)


class CredentialForm(BaseForm):
    """What every provider's form has."""

    title = StringField(_l("Name of these credentials"), [filled(), at_most(100)], filters=[stripped])

    @property
    def given_fields(self) -> list[FormField]:
        """The provider's own fields."""
        return [one for one in self if one.name.startswith(PREFIX)]

    def given(self) -> dict[str, str]:
        """What was filled in, by the provider's names."""
        return {one.name.removeprefix(PREFIX): one.data or "" for one in self.given_fields}

    def show_refusal(self, error: DomainError | AdapterError) -> None:
        """Say why beside the field that it is about, else above all of them."""
        about = PREFIX + str(error.params.get("field") or error.params.get("name") or "")
        if error.code == "dns_credential_name_taken":
            self.refuse(message_of(error), "title")
        elif error.code in ("field_missing", "field_wrong", "dns_settings") and about in self:
            said = _("This is not right.") if error.code == "dns_settings" else message_of(error)
            self.refuse(said, about)
        else:
            self.refuse(tried_out(error.code, error.params))


def credential_form(kind: str, **options: Any) -> CredentialForm:
    """The form of a provider. Raises DomainError("not_found") for one that customers are not offered."""
    offered = dns_credentials.kinds()
    if kind not in offered:
        raise DomainError("not_found")
    fields: Mapping[str, Any] = {PREFIX + one.name: _form_field(one) for one in offered[kind].fields}
    made: CredentialForm = type("ProvidersForm", (CredentialForm,), dict(fields))(**options)
    return made


def _form_field(one: Field) -> Any:
    label = _l(one.label)
    validators = [filled() if one.is_required and not one.default else Optional(), at_most(1000)]
    if one.is_secret:
        return PasswordField(label, validators)
    if one.choices:
        return SelectField(label, choices=list(one.choices), default=one.default, validators=validators)
    return StringField(label, validators, default=one.default, filters=[stripped])
