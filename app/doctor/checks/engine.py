"""Docker Engine: its API answers, what runs containers for it does, and its disk has room."""

from app.core.errors import EngineError, EngineFullError, EngineTimeoutError, EngineUnreachableError
from app.doctor.findings import Finding, ended, failed, ok, parted
from app.engine import Engine

_MOST = 200
"""Characters of what an engine answers: it may be a page."""
_PING_SECONDS = 0.7
_WORK_SECONDS = 1.2
_START = (
    "Start it (`systemctl start docker`), let VibeBox's user use its socket, or correct "
    "DOCKER_HOST."
)
_RESTART = "See its log (`journalctl -u docker`), and restart it; also containerd where it hangs."
_CORRECT = "Correct DOCKER_HOST, or let what stands in between pass all calls."
LATE = failed(
    "Docker Engine does not say in time that it is there: the look-up of its host's name may hang.",
    "See whether the host's name in DOCKER_HOST is found (`getent hosts NAME`); if it is, see the "
    "engine's own log.",
)
_KNOWN = (
    (
        "not allowed",
        "Add VibeBox's user to the group of the socket (`usermod -aG docker USER`; `ls -l` shows "
        "the group), and start VibeBox again.",
    ),
    ("file descriptor", "Raise its limit of open files (ulimit -n), and start VibeBox again."),
)
"""Why no engine is reached, by what tells it in the sentence for users, and the next step."""


def look(engine: Engine, host: str) -> Finding:
    """Return whether the engine at `host` can do its work; a volume is made and removed for it."""
    if (unreached := look_for_answer(engine, host, _PING_SECONDS)) is not None:
        return unreached
    try:
        engine.verify(_WORK_SECONDS)
    except EngineFullError:
        return failed(
            "The disk of Docker Engine is full: no image is pulled and nothing is started.",
            "Make room on it: `docker system df` shows what takes it, `docker image prune` frees "
            "images that no container uses.",
        )
    except EngineTimeoutError:
        return failed(
            "Docker Engine answers, and does no work: what runs containers for it hangs.", _RESTART
        )
    except EngineError as error:
        return failed(f"Docker Engine cannot make a volume: {_why(error)}", _RESTART)
    return ok(f"Docker Engine at {host} answers, does its work, and its disk has room.")


def look_for_answer(engine: Engine, host: str, seconds: float) -> Finding | None:
    """Return why the engine at `host` does not answer as one within `seconds`; None if it does."""
    try:
        engine.ping(timeout=seconds)
    except EngineUnreachableError as error:
        return _unreached(error, host)
    except EngineTimeoutError:
        return failed(
            f"Docker Engine at {host} is silent: it hangs, or what runs containers for it does.",
            _RESTART,
        )
    except EngineError as error:
        says = (
            f"What answers at DOCKER_HOST={host} is no Docker Engine, or is broken: {_why(error)}"
        )
        return failed(ended(says), f"{_CORRECT} {_RESTART}")
    return None


def _unreached(error: EngineUnreachableError, host: str) -> Finding:
    says = f"At DOCKER_HOST={host} no engine is reached."
    for words, next_step in _KNOWN:
        if words in error.detail:
            return failed(f"{says} {parted(error.detail, next_step)[0]}", next_step)
    return failed(says, _START)


def _why(error: EngineError) -> str:
    """Return what is known: what the engine answered, where we have no words of our own for it."""
    if type(error) is not EngineError or error.__cause__ is None:
        return error.detail
    return str(error.__cause__)[:_MOST]
