"""What several modules of the unit tests need: the shape of a problem, and what metrics moved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from werkzeug.test import TestResponse

from app.metrics.catalogue import registry

PASSWORD = "correct horse battery"
ORIGIN = "http://localhost"
"""Of the page that a browser would show of the application under test."""
Readings: TypeAlias = dict[tuple[str, ...], float]
_MEMBERS = {"type", "title", "status", "detail", "request_id"}


def assert_problem(response: TestResponse, status: int, slug: str) -> dict[str, Any]:
    """Assert the one shape of an error, and return it."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = response.get_json(force=True)
    assert set(body) - {"errors", "error_count", "quota"} == _MEMBERS
    assert body["type"] == f"urn:vibebox:problem:{slug}"
    assert body["status"] == status
    assert body["request_id"] and body["request_id"] == response.headers["X-Request-ID"]
    assert all(isinstance(body[name], str) and body[name] for name in ("title", "detail"))
    for error in body.get("errors", ()):
        assert set(error) == {"field", "message"}
    return body


def read(name: str) -> Readings:
    """Return the samples called `name`, by their label values in the order of the labels."""
    collected = registry.restricted_registry([name]).collect()
    return {
        tuple(sample.labels.values()): sample.value
        for metric in collected
        for sample in metric.samples
        if sample.name == name
    }


@contextmanager
def moved(name: str) -> Iterator[Readings]:
    """Fill the yielded mapping, at the end, with how far each sample of `name` moved."""
    before = read(name)
    changes: Readings = {}
    yield changes
    for labels, value in read(name).items():
        if value != before.get(labels, 0.0):
            changes[labels] = value - before.get(labels, 0.0)


def series() -> set[tuple[str, ...]]:
    """Return every series that this process has."""
    return {
        (sample.name, *sample.labels.values())
        for metric in registry.collect()
        for sample in metric.samples
    }
