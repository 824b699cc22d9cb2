"""What operators fill in to replace everything of a CA, or one certificate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, DateTimeLocalField, IntegerField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, NumberRange, Optional

from portal.models.catalogue import CaAccount
from portal.services.replacing import MOST_PER_HOUR
from portal.web.forms import BaseForm, at_most, filled, stripped


class ReplacementForm(BaseForm):
    """Which CA, from before when, how fast, and why. The moment is UTC."""

    ca = SelectField(_l("CA account"))
    issued_before = DateTimeLocalField(
        _l("Issued before (UTC)"),
        [Optional()],
        format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        description=_l("Empty: everything until now."),
    )
    per_hour = IntegerField(
        _l("Certificates an hour"),
        [
            InputRequired(_l("Please fill this in.")),
            NumberRange(1, MOST_PER_HOUR, _l("A number from %(min)s to %(max)s.")),
        ],
        description=_l("The CA's own limits still hold."),
    )
    reason = StringField(_l("Reason"), [filled(), at_most(255)], filters=[stripped])

    def offer(self, accounts: Sequence[CaAccount]) -> None:
        """Fill in the CA accounts."""
        self.ca.choices = [SelectChoice(one.name) for one in accounts]

    def moment(self, now: datetime) -> datetime:
        """The moment before which."""
        given: datetime | None = self.issued_before.data
        return given.replace(tzinfo=UTC) if given else now


class OneForm(BaseForm):
    """Which certificate, why, and whether its key leaked."""

    certificate_id = StringField(
        _l("Certificate: id, serial number or domain"), [filled(), at_most(253)], filters=[stripped]
    )
    note = StringField(_l("Reason"), [filled(), at_most(255)], filters=[stripped])
    is_leaked = BooleanField(_l("Its private key leaked: new key, and the old certificate is revoked"))
