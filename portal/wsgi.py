"""What a WSGI server serves: gunicorn "portal.wsgi:serve()"."""

from __future__ import annotations

from flask import Flask

from portal.app import create_app
from portal.extensions import db
from portal.services import starting


def serve() -> Flask:
    """The whole portal, unless its master keys are wrong: then the server ends with one line."""
    app = create_app()
    with app.app_context():
        starting.refuse_wrong_keys("portal.wsgi")
        # A server forks after this: no connection may be shared.
        db.engine.dispose()
    return app
