"""Messages about a pull, and what they come to."""

from typing import Any

import pytest
from docker.errors import APIError
from requests import Response

from app.engine.pulling import PullTracker, pull_failure, pull_parameters
from app.errors import EngineError, ImagePullError


@pytest.mark.parametrize(
    ("image", "name", "tag"),
    [
        ("a", "a", "latest"),
        ("a:1", "a", "1"),
        ("host:5000/a", "host:5000/a", "latest"),
        ("host:5000/a/b:1", "host:5000/a/b", "1"),
        ("host:5000/a@sha256:01", "host:5000/a", "sha256:01"),
    ],
)
def test_reference_comes_apart(image: str, name: str, tag: str) -> None:
    assert pull_parameters(image) == {"fromImage": name, "tag": tag}


def _message(status: str, layer: str | None = None, **detail: int) -> dict[str, Any]:
    message: dict[str, Any] = {"status": status, "progressDetail": detail}
    return message if layer is None else {**message, "id": layer}


def _sums(*messages: dict[str, Any]) -> list[tuple[int, int]]:
    tracker = PullTracker("img")
    sums = []
    for message in messages:
        if tracker.take(message):
            sums.append((tracker.progress.bytes_done, tracker.progress.bytes_total))
    return sums


def test_sums_are_over_the_layers_whose_size_is_known() -> None:
    assert _sums(
        _message("Pulling from a", "1"),
        _message("Pulling fs layer", "x"),
        _message("Already exists", "y"),
        _message("Downloading", "x", current=3, total=10),
        _message("Download complete", "x"),
        _message("Extracting", "z", current=1, total=5),
        _message("Pull complete", "x"),
        _message("Digest: sha256:01"),
    ) == [(0, 0), (0, 0), (3, 10), (10, 10), (15, 15), (15, 15)]


def test_download_that_is_tried_again_does_not_fall_back() -> None:
    assert _sums(
        _message("Downloading", "x", current=8, total=10),
        _message("Retrying in 5 seconds", "x"),
        _message("Downloading", "x", current=2, total=10),
    ) == [(8, 10), (8, 10), (8, 10)]


REFUSED = [
    "manifest for x not found: manifest unknown",
    "pull access denied for x, repository does not exist or may require 'docker login'",
    "unauthorized: authentication required",
    "no matching manifest for linux/amd64 in the manifest list entries",
]
FAILED = ["connection reset by peer", "dial tcp: lookup x: no such host", "received 503"]


@pytest.mark.parametrize("text", [*REFUSED, *FAILED])
def test_failure_halfway_is_told_by_its_text(text: str) -> None:
    with pytest.raises(EngineError) as caught:
        PullTracker("img").take({"error": text, "errorDetail": {"message": text}})
    assert type(caught.value) is (ImagePullError if text in REFUSED else EngineError)
    assert text not in caught.value.detail


@pytest.mark.parametrize(
    "text", ["toomanyrequests: You have reached your pull rate limit.", "429 Too Many Requests"]
)
def test_registry_that_was_asked_too_often_is_told(text: str) -> None:
    with pytest.raises(EngineError, match="asked too often"):
        PullTracker("img").take({"error": text})


@pytest.mark.parametrize(
    ("status", "kind"), [(404, ImagePullError), (403, ImagePullError), (500, EngineError)]
)
def test_refused_request_is_told_by_its_status(status: int, kind: type[EngineError]) -> None:
    response = Response()
    response.status_code = status
    error = APIError("driver text", response=response, explanation="something")
    assert type(pull_failure("img", error)) is kind
