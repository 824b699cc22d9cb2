"""The blueprint, and how often its doors may be tried."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from portal.domain.errors import DomainError
from portal.extensions import limiter
from portal.services.accounts import normal
from portal.web.account.browsers import browser_name, is_phone
from portal.web.forms import BaseForm
from portal.web.messages import message_of

blueprint = Blueprint("account", __name__)
blueprint.add_app_template_filter(browser_name)
blueprint.add_app_template_filter(is_phone)

#: Which field a refusal is shown beside; any other is shown above the form.
_FIELDS = {
    "current_password_wrong": "current",
    "email_taken": "email",
    "operator_exists": "email",
    "already_member": "email",
    "password_breached": "password",
    "password_too_long": "password",
    "password_too_short": "password",
    "set_up_code_wrong": "code",
}


def show_refusal(form: BaseForm, error: DomainError) -> None:
    """Put what a service refused where the reader looks."""
    field = _FIELDS.get(error.code)
    form.refuse(message_of(error), field if field in form else None)


def _account() -> str:
    return "account:" + normal(request.form.get("email", ""))


def _has_failed(response: Response) -> bool:
    return response.status_code >= 400


def limit_failures(of_account: str, of_address: str) -> Any:
    """A decorator: so many failed tries for one account, whoever makes them, and from one address."""
    by_address = limiter.limit(of_address, methods=["POST"], deduct_when=_has_failed)
    by_account = limiter.limit(of_account, key_func=_account, methods=["POST"], deduct_when=_has_failed)
    return lambda view: by_address(by_account(view))


def limit_sending(of_account: str, of_address: str) -> Any:
    """A decorator: so many mails to one account, and so many asked for from one address."""
    by_address = limiter.limit(of_address, methods=["POST"])
    by_account = limiter.limit(of_account, key_func=_account, methods=["POST"])
    return lambda view: by_address(by_account(view))
