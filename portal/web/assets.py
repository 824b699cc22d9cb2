"""Addresses of static files: they carry a hash of the content, since browsers keep them for a year."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from flask import Flask, request, url_for

ICONS = "vendor/tabler-icons-3.51.0/icons.svg"
THEMES = ("auto", "light", "dark")


def theme() -> str:
    """The theme that this browser chose."""
    chosen = request.cookies.get("theme", "auto")
    return chosen if chosen in THEMES else "auto"


def icons_url() -> str:
    """The icon sprite."""
    return url_for("static", filename=ICONS)


def _content_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


def register(app: Flask) -> None:
    """Hash each file once a process."""
    root = Path(str(app.static_folder))
    hashes: dict[str, str] = {}

    @app.url_defaults
    def _version(endpoint: str, values: dict[str, Any]) -> None:
        name = values.get("filename", "")
        if endpoint != "static" or not name:
            return
        if name not in hashes or app.debug:
            hashes[name] = _content_hash(root / name)
        values["v"] = hashes[name]

    app.jinja_env.globals.update(theme=theme, icons_url=icons_url)
