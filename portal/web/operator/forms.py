"""What operators fill in for manual orders."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import StringField, TextAreaField
from wtforms.validators import Optional

from portal.services.manual_orders import LONGEST_REFERENCE, LONGEST_REFUSAL
from portal.web.forms import BaseForm, at_most, filled, stripped


class ReferenceForm(BaseForm):
    """Under which number the CA knows the order."""

    reference = StringField(
        _l("The CA's order number"), [Optional(), at_most(LONGEST_REFERENCE)], filters=[stripped]
    )


class CertificateForm(BaseForm):
    """What the CA issued."""

    certificate = TextAreaField(_l("Certificate and intermediates (PEM)"), [filled()])


class RefusalForm(BaseForm):
    """Why the CA will not issue."""

    words = TextAreaField(
        _l("Why the CA refuses, for the customer to read"),
        [filled(), at_most(LONGEST_REFUSAL)],
        filters=[stripped],
    )
