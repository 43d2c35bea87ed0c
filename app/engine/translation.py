"""Driver errors into ours, at this one boundary; the cause stays chained for the log.

Docker tells most failures apart in the text of its message only, so the known texts are matched
here and, where the user is the reason, in `refusals`. The text itself never gets into `detail`.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from docker.errors import APIError, DockerException
from requests import RequestException
from requests.exceptions import Timeout
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as UrllibTimeoutError

from app.core.descriptors import NONE_LEFT
from app.core.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    ExecutableMissingError,
    ImageMissingError,
)
from app.engine.refusals import failure, unknown_refusal, users_mistake
from app.engine.transport import NotConnectedError

_log = logging.getLogger(__name__)
_COMPARED = 2000

# Docker answers 500 where 409 would be right.
# Said with status 500: the second of a command whose container ended before the command began.
_CONFLICTS = ("is not paused", "is not running")
# Of a command the engine forgets with the run of its container.
_NOT_FOUND = ("no such container", "no such exec instance")
_NO_IMAGE = ("no such image", "invalid reference format")
# The runtime quotes the executable in its message. docker-init is the host's, not the image's.
_NO_EXECUTABLE = re.compile(
    r'oci runtime .*exec: "(?!docker-init")[^"]*": '
    r".*(executable file not found|no such file or directory|permission denied|is a directory)",
    re.DOTALL,
)


@contextmanager
def translated(image: str | None = None, *, launching: bool = False) -> Iterator[None]:
    """Raise driver errors as ours; `image` is the one the call is about, if any.

    `launching`: the call makes or starts a container of what a user described.
    """
    try:
        yield
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise translate(error, image, launching=launching) from error


def translate(
    error: Exception, image: str | None = None, *, launching: bool = False
) -> EngineError:
    """Return our error for an error of docker, requests, urllib3 or the socket."""
    if isinstance(error, APIError):
        status, message = error.status_code or 0, _compared(error.explanation or "")
        known = _from_answer(status, message, image)
        if launching and type(known) is EngineError and status == HTTPStatus.BAD_REQUEST:
            # By its status it was asked for something invalid, and what was asked is the user's.
            _log.warning("Docker refuses a container", extra={"why": error.explanation})
            return unknown_refusal()
        return known
    causes = list(_causes(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        return EngineUnreachableError(
            "VibeBox is not allowed to use the socket of Docker Engine; "
            "the operator gives its user access to DOCKER_HOST."
        )
    if any(getattr(cause, "errno", None) in NONE_LEFT for cause in causes):
        return EngineUnreachableError(
            "VibeBox has no file descriptor left to ask Docker Engine with; the operator raises "
            "its limit (ulimit -n)."
        )
    if any(isinstance(cause, NotConnectedError) for cause in causes):
        return EngineUnreachableError()
    if any(isinstance(cause, TimeoutError | Timeout | UrllibTimeoutError) for cause in causes):
        return EngineTimeoutError()
    if any(isinstance(cause, HTTPError | OSError) for cause in causes[1:]):
        return connection_lost()
    return EngineError()


def _compared(message: str) -> str:
    """Return of a message what is compared: paths in it are the user's, of any length."""
    ends = message if len(message) <= 2 * _COMPARED else message[:_COMPARED] + message[-_COMPARED:]
    return ends.lower()


def connection_lost() -> EngineUnreachableError:
    """Return the error for a connection that broke once the engine had been reached."""
    return EngineUnreachableError(
        "The connection to Docker Engine was lost; look at the environment again."
    )


def names_missing_executable(message: str) -> bool:
    """Whether Docker says in `message` that a command does not exist or cannot be executed."""
    return _NO_EXECUTABLE.search(_compared(message)) is not None


def is_removal_under_way(error: EngineConflictError) -> bool:
    """Whether the conflict is that somebody else is removing the container already."""
    cause = error.__cause__
    return isinstance(cause, APIError) and "already in progress" in (cause.explanation or "")


def is_version_refused(error: APIError) -> bool:
    """Whether the engine no longer speaks the API version that was negotiated with it."""
    return error.status_code == HTTPStatus.BAD_REQUEST and (
        (error.explanation or "").startswith("client version")
    )


def _from_answer(status: int, message: str, image: str | None) -> EngineError:
    if names_missing_executable(message):
        return ExecutableMissingError(
            "The image's start command does not exist in it or cannot be executed; "
            "choose another image."
        )
    if image is not None and any(text in message for text in _NO_IMAGE):
        return ImageMissingError(image)
    if status == HTTPStatus.CONFLICT or any(text in message for text in _CONFLICTS):
        return EngineConflictError()
    if status == HTTPStatus.NOT_FOUND and any(text in message for text in _NOT_FOUND):
        return ContainerNotFoundError()
    return users_mistake(message) or failure(message)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that it wraps.

    requests and urllib3 put the wrapped error into the arguments. `__context__` is left out: it
    also holds what the caller was handling when it made the call.
    """
    yield error
    wrapped = [*error.args, getattr(error, "reason", None), error.__cause__]
    seen: list[BaseException] = []
    for inner in wrapped:
        if isinstance(inner, BaseException) and inner not in seen:
            seen.append(inner)
            yield from _causes(inner)
