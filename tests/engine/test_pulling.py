"""Messages about a pull, and what they come to."""

from typing import Any

import pytest
from docker.errors import APIError
from requests import Response

from app.core.errors import EngineError, EngineFullError, ImagePullError
from app.engine.answers import MessageSplitter
from app.engine.pulling import PullTracker, pull_failure, pull_parameters


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


def test_sizes_that_a_registry_makes_up_fit_into_the_record() -> None:
    huge = {"current": 2**63 - 1, "total": 2**63 - 1}
    sums = _sums(*(_message("Downloading", f"{layer}", **huge) for layer in range(127)))
    assert sums[-1] == (127 * 2**50, 127 * 2**50)
    assert max(sums[-1]) < 2**63


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
    "toomanyrequests: You have reached your pull rate limit",
    'image operating system "windows" cannot be used on this platform',
]
FAILED = ["connection reset by peer", "dial tcp: lookup x: no such host", "received 503"]


HOSTS = [
    "failed to register layer: ApplyLayer exit status 1 stdout: stderr: write /x: no space left on "
    "device",
    "write /var/lib/docker/tmp/GetImageBlob1: no space left on device",
    "open /var/lib/docker/image/overlay2/x: too many open files",
]
SAID_BY_A_REGISTRY = [
    *FAILED,
    "unknown: no space left on device",
    'error parsing HTTP 418 response body: unexpected end of JSON input: ""',
    "received unexpected HTTP status: 500 Internal Server Error",
    "error unmarshalling content: invalid character '<' looking for beginning of value",
    "filesystem layer verification failed for digest sha256:9547",
    "failed to register layer: Error processing tar file(exit status 1): unexpected EOF",
]


def failure(image: str, text: str) -> EngineError:
    with pytest.raises(EngineError) as caught:
        PullTracker(image).take({"error": text, "errorDetail": {"message": text}})
    assert text not in caught.value.detail
    return caught.value


def hosts(text: str) -> type[EngineError]:
    return EngineFullError if "no space left" in text else EngineError


@pytest.mark.parametrize("text", [*REFUSED, *FAILED, *HOSTS])
def test_failure_halfway_is_told_by_its_text(text: str) -> None:
    right = ImagePullError if text in REFUSED else hosts(text) if text in HOSTS else EngineError
    assert type(failure("img", text)) is right


@pytest.mark.parametrize(
    "image", ["registry.example/img", "localhost/img", "10.0.0.1:5000/a/b:1", "[::1]:5000/img"]
)
def test_registry_that_the_image_names_is_the_users(image: str) -> None:
    """It may be anybody's, and be made to say anything: no such failure is the engine's."""
    for text in SAID_BY_A_REGISTRY:
        assert type(failure(image, text)) is ImagePullError
    for text in HOSTS:
        assert type(failure(image, text)) is hosts(text)


@pytest.mark.parametrize("image", ["img", "team/img:1", "docker.io/library/img"])
def test_default_registry_is_not(image: str) -> None:
    for text in FAILED:
        assert type(failure(image, text)) is hosts(text)


@pytest.mark.parametrize(
    "text", ["toomanyrequests: You have reached your pull rate limit.", "429 Too Many Requests"]
)
def test_registry_that_was_asked_too_often_is_told(text: str) -> None:
    with pytest.raises(ImagePullError, match="asked too often"):
        PullTracker("img").take({"error": text})


def test_message_that_is_nested_too_deep_is_the_engines_error() -> None:
    with pytest.raises(EngineError, match="in an unknown way"):
        MessageSplitter("a pull").feed(b'{"id":' * 100_000 + b"\n")


@pytest.mark.parametrize(
    ("status", "kind"), [(404, ImagePullError), (403, ImagePullError), (500, EngineError)]
)
def test_refused_request_is_told_by_its_status(status: int, kind: type[EngineError]) -> None:
    response = Response()
    response.status_code = status
    error = APIError("driver text", response=response, explanation="something")
    assert type(pull_failure("img", error)) is kind
