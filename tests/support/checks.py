"""What several modules of the unit tests need: the shape of a problem, and what metrics moved."""

from typing import Any

from werkzeug.test import TestResponse

from app.metrics.catalogue import registry
from tests.support.samples import Samples

PASSWORD = "correct horse battery"
ORIGIN = "http://localhost"
"""Of the page that a browser would show of the application under test."""
_samples = Samples(registry)
read, moved, series = _samples.read, _samples.moved, _samples.series
_MEMBERS = {"type", "title", "status", "detail", "request_id"}


def assert_problem(response: TestResponse, status: int, slug: str) -> dict[str, Any]:
    """Assert the one shape of an error, and return it."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = response.get_json(force=True)
    assert set(body) - {"errors", "error_count", "quota", "setting"} == _MEMBERS
    assert body["type"] == f"urn:vibebox:problem:{slug}"
    assert body["status"] == status
    assert body["request_id"] and body["request_id"] == response.headers["X-Request-ID"]
    assert all(isinstance(body[name], str) and body[name] for name in ("title", "detail"))
    for error in body.get("errors", ()):
        assert set(error) == {"field", "message"}
    return body
