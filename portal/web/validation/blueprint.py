"""The blueprint of domain validation."""

from __future__ import annotations

from flask import Blueprint

from portal.web.messages import message_for
from portal.web.validation.panels import finding_faces, panel_of

blueprint = Blueprint("validation", __name__, url_prefix="/domain-validation")
blueprint.add_app_template_global(message_for)
blueprint.add_app_template_global(panel_of, "validation_panel")
blueprint.add_app_template_global(finding_faces)
