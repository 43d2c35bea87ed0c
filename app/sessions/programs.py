"""What sessions run in a container, and how that is asked after and ended. No rules live here."""

from app.engine import Engine
from app.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    ExecutableMissingError,
    SessionStartError,
)
from app.storage import EnvironmentSession, SessionType

TERM = "xterm-256color"
_MARK = "VIBEBOX_SESSION"
# The user's own tmux, and its end, has nothing to do with ours.
_TMUX = ("tmux", "-L", "vibebox")
_HAS = 'command -v "$0" >/dev/null'
_SHELL = 'exec "$(command -v bash || command -v sh)" -l'
# A question of the agent that is not answered so soon is asked again later.
_SECONDS = 10.0

# Ends whatever carries the mark of a session in its environment: the shell, and what it started.
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
    SessionType.VSCODE_SERVER: "The image holds no VS Code server that VibeBox can start; use tmux "
    "or a shell.",
    SessionType.SHELL: "The image holds no shell (bash or sh).",
}


def name_of(session_id: str) -> str:
    """Return what tmux calls a session."""
    return f"vibebox-{session_id[:8]}"


def start(engine: Engine, container: str, kind: SessionType, name: str) -> bool:
    """Start what a new session runs; tell whether its process is there already.

    A shell is started by whoever comes to its terminal. Raises: ExecutableMissingError where the
    image has not the program, SessionStartError, and the errors of Docker.
    """
    if kind is SessionType.VSCODE_SERVER:
        raise ExecutableMissingError(_MISSING[kind])
    program = "tmux" if kind is SessionType.TMUX else "sh"
    try:
        found = engine.exec(container, ["sh", "-c", _HAS, program])
    except ExecutableMissingError as error:
        raise ExecutableMissingError(_MISSING[SessionType.SHELL]) from error
    if found.exit_code:
        raise ExecutableMissingError(_MISSING[kind])
    if kind is SessionType.SHELL:
        return False
    made = engine.exec(container, [*_TMUX, "new-session", "-d", "-s", name])
    if made.exit_code:
        said = made.stderr.decode(errors="replace").strip()[:200]
        raise SessionStartError(f"tmux did not start: {said or 'it gave no reason'}")
    return True


def command(session: EnvironmentSession) -> tuple[list[str], dict[str, str]]:
    """Return what a terminal of the session runs, and its environment."""
    if session.type is SessionType.TMUX:
        return [*_TMUX, "-u", "attach-session", "-t", f"={session.name}"], {"TERM": TERM}
    return ["sh", "-c", _SHELL], {"TERM": TERM, _MARK: session.id}


def end(engine: Engine, session: EnvironmentSession) -> None:
    """End what a session runs; what has ended is fine. Raises: the errors of Docker."""
    if session.type is SessionType.TMUX:
        argv = [*_TMUX, "kill-session", "-t", f"={session.name}"]
    else:
        argv = ["sh", "-c", _END, f"{_MARK}={session.id}"]
    try:
        engine.exec(session.container_id, argv)
    except (ContainerNotFoundError, EngineConflictError, ExecutableMissingError):
        return  # with its container


def tmux_names(engine: Engine, container: str) -> set[str]:
    """Return the names of the tmux sessions that live in a container.

    Raises: the errors of Docker.
    """
    argv = [*_TMUX, "list-sessions", "-F", "#{session_name}"]
    return set(engine.exec(container, argv, timeout=_SECONDS).stdout.decode().split())


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
