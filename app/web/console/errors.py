"""Errors as pages, for browsers that asked for one; programs get `app.web.problems` everywhere."""

from typing import Any

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from app.core.errors import VibeBoxError
from app.web.console.headers import harden
from app.web.problems import CONTENT_TYPE, answer

_FOR_PROGRAMS = ("/api/", "/health", "/openapi")


def init_app(app: Flask) -> None:
    """Show the errors of `app` as pages where a browser asked; call it after `problems`."""
    for kind in (VibeBoxError, HTTPException):
        app.register_error_handler(kind, _answer)


def _answer(error: Any) -> Response:
    response = answer(error)
    if response.content_type != CONTENT_TYPE or not _wants_page():
        return response
    # The headers stay, among them Allow and Retry-After.
    response.set_data(render_template("console/error.html", problem=response.get_json(force=True)))
    response.content_type = "text/html; charset=utf-8"
    return harden(response)


def _wants_page() -> bool:
    """Tell whether HTML is asked for by name, as browsers do, and not as one of anything."""
    asked = "text/html" in request.headers.get("Accept", "")
    return asked and not request.path.startswith(_FOR_PROGRAMS)
