"""What sessions run in a container, and how that is asked after and ended. No rules live here."""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress

from app.core.errors import (
    CommandRunawayError,
    CommandTimeoutError,
    ContainerNotFoundError,
    EngineConflictError,
    ExecutableMissingError,
    SessionStartError,
)
from app.domain.sessions.marked import Marked, NotEndedError
from app.domain.sessions.vscode import MARK
from app.engine import Engine
from app.storage import EnvironmentSession, SessionType

TERM = "xterm-256color"
TERMINAL_MARK = "VIBEBOX_TERMINAL"
"""Carried by the command of a terminal, with its id; what a session runs carries `vscode.MARK`."""
# The user's own tmux, and its end, has nothing to do with ours.
_TMUX = ("tmux", "-L", "vibebox")
# Prints which of its arguments are programs.
_HAS = 'for program in "$0" "$@"; do command -v "$program" >/dev/null && echo "$program"; done'
# $0: where to begin.
_SHELL = '[ -z "$0" ] || cd "$0" 2>/dev/null; exec "$(command -v bash || command -v sh)" -l'
_ACTIVITY = "#{session_name} #{session_activity} #{window_activity}"
_NO_SERVER = (b"no server running", b"error connecting to", b"no current session")
_OURS = re.compile(r"(vibebox-[0-9a-f]{8}) ([0-9]{1,12}) ([0-9]{1,12})")
# A question of the agent that is not answered so soon is asked again later.
_SECONDS = 10.0
_START_SECONDS = 20.0
# What Docker 20.10 tells of a command that was writing when its connection was closed: it goes on.
_NOT_KNOWN = 126
# What a container may come to by itself, or by what its owner does.
_OF_THE_CONTAINER = (
    CommandRunawayError,
    CommandTimeoutError,
    ContainerNotFoundError,
    EngineConflictError,
    ExecutableMissingError,
)

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


def start_tmux(engine: Engine, found: EnvironmentSession, folder: str | None) -> None:
    """Start a tmux session in a folder. Raises: SessionStartError, and the errors of Docker.

    Its first program is started once more, now that the session carries the mark.
    """
    name, where = found.name, ["-c", folder] if folder else []
    argv = [*_TMUX, "new-session", "-d", "-s", name, *where]
    argv += [";", "set-environment", "-t", f"={name}", MARK, found.id]
    argv += [";", "respawn-pane", "-k", "-t", f"={name}:"]
    made = engine.exec(found.container_id, argv, timeout=_START_SECONDS)
    if made.exit_code:
        said = made.stderr.decode(errors="replace").strip()[:200]
        raise SessionStartError(f"tmux did not start: {said or 'it gave no reason'}")


def command(
    session: EnvironmentSession, terminal_id: str, folder: str | None
) -> tuple[list[str], dict[str, str]]:
    """Return what a terminal of the session runs, and its environment."""
    env = {"TERM": TERM, TERMINAL_MARK: terminal_id}
    if session.type is SessionType.TMUX:
        return [*_TMUX, "-u", "attach-session", "-t", f"={session.name}"], env
    return ["sh", "-c", _SHELL, folder or ""], {**env, MARK: session.id}


def end(engine: Engine, session: EnvironmentSession, pids: Collection[int] = ()) -> None:
    """Return once what a session runs has ended; what had already is fine.

    `pids` are the processes of its terminals (see `Marked.end`).
    Raises: NotEndedError where something goes on, and the errors of Docker.
    """
    is_tmux = session.type is SessionType.TMUX
    if is_tmux:
        argv = [*_TMUX, "kill-session", "-t", f"={session.name}"]
        # Whatever becomes of it, it is looked for afterwards.
        with suppress(*_OF_THE_CONTAINER):
            engine.exec(session.container_id, argv, timeout=_SECONDS)
    Marked(engine).end(session.container_id, [f"{MARK}={session.id}"], pids)
    if is_tmux and session.name in _tmux_after_the_end(engine, session.container_id):
        raise NotEndedError("tmux still has the session.")


def end_terminals(
    engine: Engine, container: str, terminals: Collection[str], pids: Collection[int] = ()
) -> None:
    """Return once the commands of these terminals have ended. Raises: as `end`."""
    Marked(engine).end(container, [f"{TERMINAL_MARK}={id}" for id in terminals], pids)


def _tmux_after_the_end(engine: Engine, container: str) -> Collection[str]:
    try:
        return tmux_activity(engine, container)
    except (ContainerNotFoundError, EngineConflictError, ExecutableMissingError):
        return ()
    except (CommandRunawayError, CommandTimeoutError) as error:
        raise NotEndedError("tmux does not say whether it still has the session.") from error


def tmux_activity(engine: Engine, container: str) -> dict[str, str]:
    """Return the tmux sessions of ours that live in a container, each with when it was last busy.

    That is a text of the container's own, good for nothing but to be compared with the next one: it
    changes when somebody types, and when a program prints.
    Raises: CommandRunawayError where tmux does not say which it has, and the errors of Docker.
    """
    argv = [*_TMUX, "list-windows", "-a", "-F", _ACTIVITY]
    answer = engine.exec(container, argv, timeout=_SECONDS)
    if answer.exit_code and not any(text in answer.stderr for text in _NO_SERVER):
        raise CommandRunawayError("tmux does not say which sessions it has.")
    found: dict[str, list[str]] = {}
    for line in answer.stdout.decode(errors="replace").splitlines():
        window = _OURS.fullmatch(line)
        if window is not None:
            found.setdefault(window[1], []).append(f"{window[2]}/{window[3]}")
    return {name: max(times) for name, times in found.items()}


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
    if state.exit_code == _NOT_KNOWN:
        return False, None
    return not state.running, state.exit_code
