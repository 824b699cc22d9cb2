"""What forms of every area share. Labels and errors are lazy: they are said in the reader's language."""

from __future__ import annotations

import re
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import Field, ValidationError
from wtforms.validators import DataRequired, Length

_EMAIL = re.compile(
    r"[^@\s\"<>(),;:\\\[\]]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\Z",
    re.I,
)


class BaseForm(FlaskForm):
    """A form whose refusals by a service can be shown beside a field, or above all of them."""

    def refuse(self, message: str, field: str | None = None) -> None:
        """Show what a service refused."""
        if field is None:
            self.form_errors.append(message)
        else:
            self[field].errors = [*self[field].errors, message]


def filled() -> DataRequired:
    """The field must be filled in."""
    return DataRequired(_l("Please fill this in."))


def at_most(characters: int) -> Length:
    """The field has at most this many characters."""
    return Length(max=characters, message=_l("At most %(max)d characters."))


def is_email(_form: Any, field: Field) -> None:
    """A validator: looks like an address that mail can be sent to."""
    text = (field.data or "").strip()
    if len(text) > 254 or not _EMAIL.match(text):
        raise ValidationError(_("Please give a mail address such as name@example.com."))


def stripped(value: str | None) -> str | None:
    """A filter: no white space around."""
    return value.strip() if value else value
