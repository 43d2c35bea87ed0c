"""Messages of Docker that decide which error of ours is raised."""

import pytest
from docker.errors import APIError, DockerException
from requests import Response
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ReadTimeout
from urllib3.exceptions import ProtocolError

from app.core.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    EngineError,
    EngineFullError,
    EngineTimeoutError,
    EngineUnreachableError,
    ExecutableMissingError,
    ImageMissingError,
    PortTakenError,
)
from app.engine.translation import translate
from app.engine.transport import NotConnectedError

_RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: "


def _answer(status: int, message: str) -> APIError:
    response = Response()
    response.status_code = status
    return APIError("driver text", response=response, explanation=message)


ANSWERS = {
    "container-absent": (404, "No such container: x", ContainerNotFoundError),
    "image-absent": (404, "No such image: img:latest", ImageMissingError),
    "image-name-invalid": (400, "invalid reference format", ImageMissingError),
    "other-404": (404, "page not found", EngineError),
    "conflict": (409, "Conflict. The container name is already in use", EngineConflictError),
    "container-ended-before-the-command-began": (
        500,
        "Container a583 is not running: Exited (143) Less than a second ago",
        EngineConflictError,
    ),
    "port-allocated": (
        500,
        "Bind for 0.0.0.0:80 failed: port is already allocated",
        PortTakenError,
    ),
    "port-bound": (500, "listen tcp4 :80: bind: address already in use", PortTakenError),
    "executable-absent": (
        400,
        _RUNC + 'exec: "nosuch": executable file not found in $PATH: unknown',
        ExecutableMissingError,
    ),
    "executable-not-a-program": (
        500,
        _RUNC + 'exec: "/etc/passwd": permission denied: unknown',
        ExecutableMissingError,
    ),
    "docker-init-absent": (
        400,
        _RUNC + 'exec: "docker-init": executable file not found in $PATH',
        EngineError,
    ),
    "missing-file-that-is-no-executable": (500, "no such file or directory", EngineError),
    "disk-full": (500, "mkdir /var/lib/docker/volumes/x: no space left on device", EngineFullError),
    "anything-else": (500, "something went wrong", EngineError),
}


@pytest.mark.parametrize(("status", "message", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_answer_becomes_our_error(status: int, message: str, expected: type[EngineError]) -> None:
    error = translate(_answer(status, message), image="img")
    assert type(error) is expected
    assert message not in error.detail


TRANSPORT = {
    "not-connected": (NotConnectedError("no connection"), EngineUnreachableError),
    "reset": (
        RequestsConnectionError(ProtocolError("aborted", ConnectionResetError())),
        EngineUnreachableError,
    ),
    "read-timeout": (ReadTimeout("late"), EngineTimeoutError),
    "socket-timeout": (TimeoutError("late"), EngineTimeoutError),
    "sdk": (DockerException("odd"), EngineError),
}


@pytest.mark.parametrize(("error", "expected"), TRANSPORT.values(), ids=TRANSPORT)
def test_transport_error_becomes_ours(error: Exception, expected: type[EngineError]) -> None:
    assert type(translate(error)) is expected


def test_only_a_failed_connection_says_that_nothing_was_changed() -> None:
    lost = translate(RequestsConnectionError(ProtocolError("aborted", ConnectionResetError())))
    never = translate(NotConnectedError("no connection"))
    assert "nothing was changed" in never.detail
    assert "nothing was changed" not in lost.detail


def test_forbidden_socket_is_named() -> None:
    error = translate(RequestsConnectionError(ProtocolError("aborted", PermissionError(13, "no"))))
    assert type(error) is EngineUnreachableError
    assert "not allowed to use the socket" in error.detail
    assert "nothing" not in error.detail


def test_what_the_caller_was_handling_is_not_taken_for_the_cause() -> None:
    try:
        try:
            raise TimeoutError("somebody else's")
        except TimeoutError:
            raise DockerException("odd")  # noqa: B904
    except DockerException as error:
        assert type(translate(error)) is EngineError
