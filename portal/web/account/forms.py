"""The forms of the account area."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import EmailField, HiddenField, PasswordField, SelectField, StringField
from wtforms.fields.choices import SelectChoice

from portal.models.account import Role
from portal.services.passwords import LEAST
from portal.web.forms import BaseForm, at_most, filled, is_email, stripped
from portal.web.labels import label
from portal.web.locale import LOCALES, timezones


def _email() -> EmailField:
    return EmailField(_l("Mail address"), [filled(), is_email], filters=[stripped])


def _new_password(text: str | None = None) -> PasswordField:
    hint = _l("At least %(least)s characters; a short sentence is easy to remember.", least=LEAST)
    return PasswordField(text or _l("Password"), [filled(), at_most(128)], description=hint)


class LoginForm(BaseForm):
    email = EmailField(_l("Mail address"), [filled()], filters=[stripped])
    password = PasswordField(_l("Password"), [filled(), at_most(128)])
    next = HiddenField()


class SignUpForm(BaseForm):
    organisation = StringField(_l("Company or team"), [filled(), at_most(120)], filters=[stripped])
    email = _email()
    password = _new_password()


class SetUpForm(BaseForm):
    code = StringField(_l("Set-up code"), [filled(), at_most(64)], filters=[stripped])
    email = _email()
    password = _new_password()


class ResetRequestForm(BaseForm):
    email = _email()


class NewPasswordForm(BaseForm):
    password = _new_password(_l("New password"))


class ChangePasswordForm(BaseForm):
    current = PasswordField(_l("Current password"), [filled(), at_most(128)])
    password = _new_password(_l("New password"))


class ProfileForm(BaseForm):
    locale = SelectField(
        _l("Language"),
        choices=[SelectChoice(value, name) for value, name in LOCALES.items()],
        description=_l("Of pages and of mails."),
    )
    timezone = SelectField(_l("Time zone"), description=_l("Every time is shown in it."))

    def offer_timezones(self) -> None:
        """All zones; reading them takes a moment, so not at import."""
        self.timezone.choices = [SelectChoice(zone, zone.replace("_", " ")) for zone in timezones()]


class OrganisationForm(BaseForm):
    name = StringField(_l("Name of the organisation"), [filled(), at_most(120)], filters=[stripped])


class InviteForm(BaseForm):
    email = _email()
    role = SelectField(_l("Role"), coerce=Role, default=Role.VIEWER)

    def offer_roles(self) -> None:
        """Every role, the weakest first."""
        self.role.choices = [
            SelectChoice(one.value, label(one)) for one in (Role.VIEWER, Role.MANAGER, Role.OWNER)
        ]


class RoleForm(BaseForm):
    role = SelectField(_l("Role"), coerce=Role, choices=[SelectChoice(role.value) for role in Role])
