"""What Docker says where it cannot do what a user asked for: the user's mistake, not its failure.

Docker tells the two apart in the text of its message only, and its statuses say little (most of
what is below comes with 500). The texts were provoked with 20.10 and 28 by every field that a user
may fill and by images made for the purpose; `tests/engine/test_refusals.py` provokes them again.

A text is known by how it begins or ends: what stands between, paths and names, is the user's own
and could hold any words. What is not known here stays a failure of the engine.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from app.core.errors import (
    EngineConflictError,
    EngineError,
    EngineFullError,
    LimitsRefusedError,
    PortTakenError,
    SpecificationRefusedError,
)

_VOLUME = (
    "A volume cannot be mounted where the environment, or its image, wants it: something else is "
    "there. Choose another volume_path, such as /workspace, or another image."
)
_IMAGE = (
    "The image cannot be started as it is: its command, user, working directory, variables or "
    "files do not fit together. Choose another image."
)

# Trouble of the host, as the system calls of the engine and the runtime report it.
_HOST_TROUBLE = re.compile(
    r": (no space left on device|disk quota exceeded|cannot allocate memory|too many open files"
    r"( in system)?|read-only file system|input/output error|resource temporarily unavailable"
    r"|operation not permitted|structure needs cleaning)(: unknown)?\s*\Z"
)
_NO_ROOM = re.compile(r": (no space left on device|disk quota exceeded)(: unknown)?\s*\Z")
# What the runtime does for a new container, with that one's own files.
_IN_CONTAINER = (
    r"oci runtime create failed: .*"
    r"(error during container init|unable to start container process|container init caused"
    r"|starting container process caused): "
)
_UNFIT_PATH = (
    r"not a directory|is a directory|file name too long|too many levels of symbolic links"
    r"|too many links|invalid argument"
)
_END = r"\s*(: unknown)?(: are you trying to mount a directory onto a file[^\n]*)?\s*\Z"


class _Refusal(NamedTuple):
    pattern: re.Pattern[str]
    error: Callable[[], EngineError]


def _refusal(pattern: str, error: Callable[[], EngineError]) -> _Refusal:
    return _Refusal(re.compile(pattern, re.DOTALL), error)


def _volume() -> EngineError:
    return SpecificationRefusedError(_VOLUME)


def _image() -> EngineError:
    return SpecificationRefusedError(_IMAGE)


# Known by how they begin, whatever path they end with; or said of the container's own files alone,
# where the system's words mean something else.
_FIRST = (
    _refusal(r"\Arange of cpus is from ", LimitsRefusedError),
    _refusal(r"\Aminimum memory limit allowed is ", LimitsRefusedError),
    _refusal(r"\Acannot mount volume over existing file", _volume),
    _refusal(r"\Aevalsymlinksinscope: too many links in ", _volume),
    _refusal(r"\Ano command specified", _image),
    _refusal(r"\Aunable to find (user|group|groups) ", _image),
    _refusal(r"\Auids and gids must be in range ", _image),
    _refusal(r"\Amax depth exceeded", _image),
    _refusal(r"\A(extraction point is not a|could not find the file )", EngineConflictError),
    # A pseudo file system of the container takes no directory.
    _refusal(
        _IN_CONTAINER + r'error mounting "[^"]*/volumes/[^"]*" to rootfs at '
        rf".*( inside /proc| not of type proc|: ({_UNFIT_PATH}|read-only file system"
        rf"|operation not permitted|permission denied)){_END}",
        _volume,
    ),
    # The container's devices are always there, but where a volume hides them.
    _refusal(
        _IN_CONTAINER + r"(unable to setup user: stat /dev/null"
        r"|error reopening /dev/null inside container: open /dev/null)"
        rf": (no such file or directory|permission denied|{_UNFIT_PATH}){_END}",
        _volume,
    ),
    _refusal(
        _IN_CONTAINER
        + rf"error setting up ptmx: remove .*/dev/ptmx: device or resource busy{_END}",
        _volume,
    ),
    _refusal(
        _IN_CONTAINER + r"mkdir .*: (no such file or directory|read-only file system"
        rf"|operation not permitted|permission denied|{_UNFIT_PATH}){_END}",
        _image,
    ),
)
# Known by how they end, where that is not the host's trouble.
_THEN = (
    _refusal(rf"cpu\.cfs_quota_us: invalid argument{_END}", LimitsRefusedError),
    _refusal(r"container init was oom-killed \(memory limit too low\?\)", LimitsRefusedError),
    _refusal(
        r"(unable to set memory limit|memory\.(limit_in_bytes|max): device or resource busy)",
        LimitsRefusedError,
    ),
    _refusal(
        r"(port is already allocated|address already in use"
        rf"|: all ports are allocated{_END})",  # of the range to pick from
        PortTakenError,
    ),
    _refusal(r"\A(source|cannot mkdir:) .* is not (a )?directory\s*\Z", _volume),
    _refusal(rf"\A(lstat|stat|read|open|mkdir) .*: ({_UNFIT_PATH}){_END}", _volume),
    _refusal(
        _IN_CONTAINER + rf'error mounting ".*" to rootfs at ".*: ({_UNFIT_PATH}){_END}', _image
    ),
    _refusal(
        _IN_CONTAINER + r"(?!.*(error mounting|error setting cgroup|unable to apply cgroup)).*"
        rf"(no such file or directory|permission denied|{_UNFIT_PATH}"
        rf'|can\'t be empty: "[^"]*"|can\'t contain null[^\n]*){_END}',
        _image,
    ),
    _refusal(rf"oci runtime create failed: .*cwd must be an absolute path{_END}", _image),
)


def users_mistake(message: str) -> EngineError | None:
    """Return our error where the user is the reason of the message, None where nobody knows.

    message: Docker's, in lower case.
    """
    groups = (_FIRST,) if _HOST_TROUBLE.search(message) else (_FIRST, _THEN)
    for group in groups:
        for refusal in group:
            if refusal.pattern.search(message):
                return refusal.error()
    return None


def unknown_refusal() -> EngineError:
    """Return the error for a new container that Docker calls invalid in words nobody knows."""
    return SpecificationRefusedError()


def failure(message: str) -> EngineError:
    """Return our error for a message that is no mistake of a user.

    message: Docker's, in lower case.
    """
    return EngineFullError() if _NO_ROOM.search(message) else EngineError()
