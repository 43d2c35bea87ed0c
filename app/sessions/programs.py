"""What sessions run in a container, and how that is asked after and ended. No rules live here."""

from collections.abc import Sequence

from app.engine import Engine
from app.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    ExecutableMissingError,
    SessionStartError,
)
from app.sessions.vscode import MARK
from app.storage import EnvironmentSession, SessionType

TERM = "xterm-256color"
# The user's own tmux, and its end, has nothing to do with ours.
_TMUX = ("tmux", "-L", "vibebox")
# Prints which of its arguments are programs.
_HAS = 'for program in "$0" "$@"; do command -v "$program" >/dev/null && echo "$program"; done'
_SHELL = 'exec "$(command -v bash || command -v sh)" -l'
# A question of the agent that is not answered so soon is asked again later.
_SECONDS = 10.0

# Ends whatever carries the mark of a session in its environment: the shell or the server, and what
# it started.
# $0 is the mark. Who ignores the first signal does not ignore the second.
_END = """
for signal in HUP KILL; do
    found=$(grep -ls "$0" /proc/[0-9]*/environ)
    [ -n "$found" ] || exit 0
    for file in $found; do
        process=${file#/proc/}
        kill -$signal "${process%/environ}" 2>/dev/null
    done
    [ $signal = KILL ] || sleep 0.2
done
exit 0
"""
_MISSING = {
    SessionType.TMUX: "The image holds no tmux; install it in the image, or use a shell.",
    SessionType.VSCODE_SERVER: "The image holds no VS Code server; install code-server in the "
    "image, or use tmux or a shell.",
    SessionType.SHELL: "The image holds no shell (bash or sh).",
}


def name_of(session_id: str) -> str:
    """Return what tmux calls a session."""
    return f"vibebox-{session_id[:8]}"


def held(engine: Engine, container: str, programs: Sequence[str]) -> set[str]:
    """Return which of the programs the container has.

    Raises: ExecutableMissingError where it has no shell to ask, and the errors of Docker.
    """
    try:
        found = engine.exec(container, ["sh", "-c", _HAS, *programs], timeout=_SECONDS)
    except ExecutableMissingError as error:
        raise ExecutableMissingError(_MISSING[SessionType.SHELL]) from error
    return set(found.stdout.decode(errors="replace").split())


def require(engine: Engine, container: str, kind: SessionType, program: str) -> None:
    """Raise ExecutableMissingError where the image has not what a session of the kind runs."""
    if program not in held(engine, container, [program]):
        raise ExecutableMissingError(_MISSING[kind])


def start_tmux(engine: Engine, container: str, name: str) -> None:
    """Start a tmux session. Raises: SessionStartError, and the errors of Docker."""
    made = engine.exec(container, [*_TMUX, "new-session", "-d", "-s", name])
    if made.exit_code:
        said = made.stderr.decode(errors="replace").strip()[:200]
        raise SessionStartError(f"tmux did not start: {said or 'it gave no reason'}")


def command(session: EnvironmentSession) -> tuple[list[str], dict[str, str]]:
    """Return what a terminal of the session runs, and its environment."""
    if session.type is SessionType.TMUX:
        return [*_TMUX, "-u", "attach-session", "-t", f"={session.name}"], {"TERM": TERM}
    return ["sh", "-c", _SHELL], {"TERM": TERM, MARK: session.id}


def end(engine: Engine, session: EnvironmentSession) -> None:
    """End what a session runs; what has ended is fine. Raises: the errors of Docker."""
    if session.type is SessionType.TMUX:
        argv = [*_TMUX, "kill-session", "-t", f"={session.name}"]
    else:
        argv = ["sh", "-c", _END, f"{MARK}={session.id}"]
    try:
        engine.exec(session.container_id, argv)
    except (ContainerNotFoundError, EngineConflictError, ExecutableMissingError):
        return  # with its container


def tmux_names(engine: Engine, container: str) -> set[str]:
    """Return the names of the tmux sessions that live in a container.

    Raises: the errors of Docker.
    """
    argv = [*_TMUX, "list-sessions", "-F", "#{session_name}"]
    return set(
        engine.exec(container, argv, timeout=_SECONDS).stdout.decode(errors="replace").split()
    )


def shell_ended(engine: Engine, session: EnvironmentSession) -> tuple[bool, int | None]:
    """Tell whether the process of a shell has ended, and its exit code where Docker knows it.

    Raises: the errors of Docker.
    """
    if session.exec_id is None:
        return False, None
    try:
        state = engine.inspect_exec(session.exec_id)
    except ContainerNotFoundError:  # forgotten, with the run of its container
        return True, None
    return not state.running, state.exit_code
