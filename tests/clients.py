"""A test client that sends the CSRF token as a page's form would; the check itself stays on."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from portal.models.account import User
from tests.factories import PASSWORD

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HTMX = {"HX-Request": "true"}


class PortalClient(FlaskClient):
    """`csrf=False` leaves the token out; `htmx=True` asks as HTMX does."""

    def open(self, *args: Any, csrf: bool = True, htmx: bool = False, **options: Any) -> TestResponse:
        headers = dict(options.pop("headers", None) or {})
        if csrf and str(options.get("method", "GET")).upper() in UNSAFE:
            headers.setdefault("X-CSRFToken", self.csrf_token())
        if htmx:
            headers |= HTMX
        # A context of its own, as a server gives each request: what `g` keeps (the user, the language) ends with it.
        with self.application.app_context():
            return super().open(*args, headers=headers, **options)

    def csrf_token(self) -> str:
        """The token of this client's session, made as Flask-WTF makes it."""
        with self.session_transaction() as session:
            raw = session.setdefault("csrf_token", hashlib.sha256(os.urandom(64)).hexdigest())
        signer = URLSafeTimedSerializer(self.application.secret_key, salt="wtf-csrf-token")
        return str(signer.dumps(raw))

    def log_in(self, user: User, password: str = PASSWORD) -> TestResponse:
        """Through the log-in form."""
        return self.post("/login", data={"email": user.email, "password": password})
