"""The blueprint of overview, certificates and uploads."""

from __future__ import annotations

from flask import Blueprint

from portal.web.messages import message_for, message_of

blueprint = Blueprint("certificates", __name__)
blueprint.add_app_template_global(message_for)
blueprint.add_app_template_global(message_of)
