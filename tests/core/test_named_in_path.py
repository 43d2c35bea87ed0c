"""Which environment a path names."""

import pytest

from app.core.named_in_path import environment_of

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
START = "/api/v1/environments/<environment_id>/start"


@pytest.mark.parametrize(
    ("route", "path", "named"),
    [
        (START, f"/api/v1/environments/{ID}/start", ID),
        ("/api/v1/environments/<environment_id>", f"/api/v1/environments/{ID}", ID),
        (START, "/api/v1/environments/vbx_at_secret/start", None),
        (START, f"/api/v1/environments/{ID}x/start", None),
        (START, "/api/v1", None),
        ("/api/v1/sessions/<session_id>", f"/api/v1/sessions/{ID}", None),
        ("unmatched", f"/api/v1/environments/{ID}/start", None),
    ],
)
def test_only_an_id_in_its_place_is_one(route: str, path: str, named: str | None) -> None:
    assert environment_of(route, path) == named
