"""The upload form and the form that confirms a specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import request
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import FileStorage
from wtforms import FileField, PasswordField, RadioField, StringField, TextAreaField
from wtforms.validators import Optional

from portal.domain.errors import DomainError
from portal.domain.spec import Spec, brand_name
from portal.services.key_reading import has_key
from portal.services.pem_reading import text_of
from portal.services.uploading import Upload
from portal.web.forms import BaseForm, at_most, stripped
from portal.web.labels import label
from portal.web.messages import message_of

#: Which field a refusal is shown beside; any other is shown beside the certificate.
_FIELDS: Mapping[str, str] = {
    "broken_key": "key",
    "key_mismatch": "key",
    "key_passphrase_needed": "passphrase",
    "key_passphrase_wrong": "passphrase",
    "key_too_costly": "key",
    "no_key": "key",
    "several_keys": "key",
}


class UploadForm(BaseForm):
    """Each PEM part is pasted or chosen as a file; a file counts where both are given."""

    certificate = TextAreaField(_l("Certificate (PEM)"))
    certificate_file = FileField(_l("Or its file"))
    chain = TextAreaField(_l("Chain, if it is separate"), [Optional()])
    chain_file = FileField(_l("Or its file"))
    key = TextAreaField(_l("Private key (PEM)"), [Optional()])
    key_file = FileField(_l("Or its file"))
    passphrase = PasswordField(_l("Passphrase of the key"), [Optional()])
    name = StringField(_l("Name in the list"), [Optional(), at_most(100)], filters=[stripped])

    def read(self) -> Upload:
        """What was given. Raises DomainError for a file that is not text, naming what it is."""
        self.certificate.data = _file_text("certificate_file") or self.certificate.data
        self.chain.data = _file_text("chain_file") or self.chain.data
        return Upload(
            certificate=self.certificate.data or "",
            chain=self.chain.data or "",
            key=_file_text("key_file") or self.key.data or "",
            passphrase=self.passphrase.data or "",
            name=self.name.data or "",
        )

    def show_refusal(self, error: DomainError) -> None:
        """Say why beside the field that it is about; forget keys, wherever they stood, and the passphrase."""
        self.key.data = self.passphrase.data = None
        for pasted in (self.certificate, self.chain):
            pasted.data = None if has_key(pasted.data or "") else pasted.data
        self.refuse(message_of(error), _FIELDS.get(error.code, "certificate"))


def _file_text(name: str) -> str:
    chosen: FileStorage | None = request.files.get(name)
    return text_of(chosen.read()) if chosen is not None and chosen.filename else ""


def spec_value(spec: Spec) -> str:
    """A specification as a form value."""
    return "/".join((spec.validation_type.value, spec.brand, spec.grade.value))


class SpecForm(BaseForm):
    """One of the specifications that the catalogue sells and that fit the certificate."""

    spec = RadioField(_l("Specification"))

    def offer(self, specs: Sequence[Spec]) -> None:
        """Fill in the choices; the only one is chosen already."""
        self._specs = {spec_value(spec): spec for spec in specs}
        self.spec.choices = [
            (value, f"{label(spec.validation_type)} · {brand_name(spec.brand)} · {label(spec.grade)}")
            for value, spec in self._specs.items()
        ]
        if self.spec.data not in self._specs and len(self._specs) == 1:
            self.spec.data = next(iter(self._specs))

    def chosen(self) -> Spec:
        """The chosen specification. Raises DomainError("spec_not_offered")."""
        if self.spec.data not in self._specs:
            raise DomainError("spec_not_offered")
        return self._specs[self.spec.data]

    def show_refusal(self, error: DomainError) -> None:
        """Say why beside the choices."""
        self.refuse(message_of(error), "spec")
