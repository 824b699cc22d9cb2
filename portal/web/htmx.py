"""One view for the page and for its partial; redirects that htmx follows; messages that htmx shows."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, redirect, render_template, request


def wants_partial() -> bool:
    """Whether htmx asks for a part of the page. A history restore, or a boosted link, wants the whole."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def render(page: str, partial: str | None = None, status: int = 200, **context: Any) -> Response:
    """The page, or `partial` ("area/_name.html") where htmx asks; both are given the same context."""
    template = partial if partial and wants_partial() else page
    return make_response(render_template(template, **context), status)


def go_to(url: str) -> Response:
    """A redirect (303) after a form; htmx loads the page anew."""
    if not wants_partial():
        return make_response(redirect(url, 303))
    response = make_response("", 200)
    response.headers["HX-Redirect"] = url
    return response


def toast(message: str, tone: str = "bad", status: int = 422) -> Response:
    """A message in the corner of the page, whatever the request's own target was."""
    response = make_response(render_template("_toast.html", message=message, tone=tone), status)
    response.headers["HX-Retarget"] = "#toasts"
    response.headers["HX-Reswap"] = "beforeend"
    return response


def register(app: Any) -> None:
    """Nothing may cache a partial as the page, or the other way round."""

    @app.after_request
    def _vary(response: Response) -> Response:
        response.vary.add("HX-Request")
        return response
