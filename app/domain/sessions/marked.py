"""Ends processes in containers, and looks whether they have ended.

What VibeBox starts in a container carries a mark in its environment, and with it what that starts
in turn. Docker cannot end a command, so another one looks for the mark, and ends what has it, what
descends from it, and what sits at its terminal. Nobody believes that this worked: the script counts
what is left, and where the engine's host can list processes, it is asked too.

The script needs a shell and /proc, starts no process of its own, since a container may hold no
more, and stops everything before it kills, since what forks faster than it is killed would go on.
What the container answers is its owner's word, on what is its owner's alone.
"""

import logging
import re
from collections.abc import Collection, Sequence

from app.core.errors import (
    CommandRunawayError,
    CommandTimeoutError,
    ContainerNotFoundError,
    EngineConflictError,
    EngineError,
    EngineUnreachableError,
    ExecutableMissingError,
    VibeBoxError,
)
from app.engine import Engine

# A container with many processes takes a second; one that hangs is asked again later.
_SECONDS = 15.0
# Room for the command itself, where a container holds as many processes as it may; and how much of
# it is given altogether, to who takes it all at once each time.
_ROOM = 64
_MOST_ROOM = 256
_log = logging.getLogger(__name__)

# $1: hundredths of a second between the polite signal and the other; the others: the marks.
_SCRIPT = r"""
grace=$1
shift
marks=$*
me=$$
clean=
signal() { for pid in $found; do kill -s "$1" "$pid"; done; }
now() { read -r up rest </proc/uptime && up=${up%.*}${up#*.}; }
text_of() {
    text=
    while IFS= read -r line || [ -n "$line" ]; do text="$text$line
"; done <"$1"
}
is_marked() {
    case " $clean " in *" $1 "*) return 1 ;; esac
    text_of "/proc/$1/environ"
    for mark in $marks; do
        case $text in *"$mark"*) return 0 ;; esac
    done
    clean="$clean $1"
    return 1
}
scan() {
    found= ttys= all=
    for directory in /proc/[0-9]*; do
        pid=${directory#/proc/}
        [ "$pid" = "$me" ] && continue
        text_of "$directory/stat"
        set -- ${text##*) }
        case ${1:-X} in [ZX]) continue ;; esac
        all="$all $pid:$2:$5"
        if is_marked "$pid"; then
            found="$found $pid"
            [ "$5" = 0 ] || ttys="$ttys $5"
        fi
    done
    more=$found
    while [ -n "$more" ]; do
        more=
        for entry in $all; do
            pid=${entry%%:*} rest=${entry#*:}
            case " $found " in *" $pid "*) continue ;; esac
            kin=
            case " $found " in *" ${rest%:*} "*) kin=1 ;; esac
            case " $ttys " in *" ${rest#*:} "*) kin=1 ;; esac
            [ -z "$kin" ] || found="$found $pid" more=1
        done
    done
}
end_if_gone() { [ -n "$found" ] || { echo "vibebox: ended"; exit 0; } }
{
    scan
    end_if_gone
    signal HUP
    now && ends=$((up + grace))
    while [ "$up" -lt "$ends" ]; do
        scan
        end_if_gone
        now
    done
    last= rounds=0
    while [ "$found" != "$last" ] && [ $rounds -lt 20 ]; do
        last=$found rounds=$((rounds + 1))
        signal STOP
        scan
    done
    now && ends=$((up + 200))
    while [ "$up" -lt "$ends" ]; do
        signal KILL
        scan
        end_if_gone
        now
    done
    set -- $found
    echo "vibebox: left $#"
} 2>/dev/null
exit 3
"""
_GRACE = 30
_ANSWER = re.compile(r"vibebox: (?:(ended)|left (\d{1,6}))")


class NotEndedError(VibeBoxError):
    """What was to be ended goes on, or nobody can tell; `detail` says why, for the operator."""

    slug = "not-ended"
    title = "Processes in a container go on"


class Marked:
    """Ends what carries a mark; each container is another one's business."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def end(self, container: str, marks: Sequence[str], pids: Collection[int] = ()) -> None:
        """Return once nothing in the container carries one of the marks.

        Args:
            container: Where; one that does not run, or is gone, has no processes.
            marks: NAME=value each, without blanks.
            pids: Processes, in the numbers of the engine's host, that have to be gone too, with
                those in their sessions.

        Raises: NotEndedError where something goes on, or where it cannot be told; EngineError where
        Docker does not answer.
        """
        try:
            said = self._ask(container, marks)
            if said is None:
                if not self._runs(container):
                    return
                said = self._ask_with_room(container, marks)
        except ContainerNotFoundError:
            return
        except EngineConflictError as error:
            if not self._runs(container):
                return
            raise NotEndedError("The container is frozen.") from error
        except (CommandRunawayError, CommandTimeoutError, ExecutableMissingError) as error:
            raise NotEndedError(error.detail) from error
        if said is None:
            raise NotEndedError("The container's shell gives no answer that means anything.")
        if said:
            raise NotEndedError(f"{said} processes go on.")
        self._look_for(container, pids)

    def _ask(self, container: str, marks: Sequence[str]) -> int | None:
        """Return how many processes are left; None where the shell did not say."""
        script = ["sh", "-c", _SCRIPT, "sh", str(_GRACE), *marks]
        answer = self._engine.exec(container, script, timeout=_SECONDS)
        lines = answer.stdout[-200:].decode("ascii", "replace").strip().splitlines()
        found = _ANSWER.fullmatch(lines[-1]) if lines else None
        if found is None:
            return None
        return 0 if found[1] else int(found[2])

    def _ask_with_room(self, container: str, marks: Sequence[str]) -> int | None:
        """Ask while the container may hold more processes than it does."""
        limit = self._engine.inspect(container).pids_limit
        if limit is None:
            return None
        number = min(max(limit, self._count(container)) + _ROOM, limit + _MOST_ROOM)
        self._engine.limit_processes(container, number)
        try:
            return self._ask(container, marks)
        finally:
            self._engine.limit_processes(container, limit)

    def _count(self, container: str) -> int:
        try:
            return len(self._engine.processes(container))
        except EngineUnreachableError:
            raise
        except EngineError:
            return 0

    def _runs(self, container: str) -> bool:
        """Tell whether the container has processes at all."""
        try:
            return self._engine.inspect(container).running
        except ContainerNotFoundError:
            return False

    def _look_for(self, container: str, pids: Collection[int]) -> None:
        """Raise NotEndedError where the host still has one of the processes."""
        if not pids:
            return
        try:
            processes = self._engine.processes(container)
        except (ContainerNotFoundError, EngineConflictError):
            return
        except EngineUnreachableError:
            raise
        except EngineError:
            return  # a host without `ps`: there is the container's word only
        if any(process.pid in pids or process.session in pids for process in processes):
            raise NotEndedError("The engine's host still sees a process of it.")
