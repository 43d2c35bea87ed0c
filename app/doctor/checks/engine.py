"""Docker Engine: its API answers, what runs containers for it does, and its disk has room."""

from app.core.errors import EngineError, EngineFullError, EngineTimeoutError, EngineUnreachableError
from app.doctor.findings import Finding, failed, ok
from app.engine import Engine

_PING_SECONDS = 0.7
_WORK_SECONDS = 1.2
_START = (
    "Start it (`systemctl start docker`), let VibeBox's user use its socket, or correct "
    "DOCKER_HOST."
)
_RESTART = "See its log (`journalctl -u docker`), and restart it; also containerd where it hangs."


def look(engine: Engine, host: str) -> Finding:
    """Return whether the engine at `host` can do its work; a volume is made and removed for it."""
    try:
        engine.ping(timeout=_PING_SECONDS)
    except EngineUnreachableError as error:
        return failed(f"At DOCKER_HOST={host} no engine is reached. {_own(error)}".strip(), _START)
    except EngineTimeoutError:
        return failed(
            f"Docker Engine at {host} is silent: it hangs, or what runs containers for it does.",
            _RESTART,
        )
    except EngineError as error:
        return failed(f"Docker Engine at {host}: {error.detail}", _RESTART)
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
        return failed(f"Docker Engine cannot make a volume: {error.detail}", _RESTART)
    return ok(f"Docker Engine at {host} answers, does its work, and its disk has room.")


def _own(error: EngineUnreachableError) -> str:
    """Return what is known beyond that nobody is reached."""
    return "" if error.detail == error.default_detail else error.detail
