"""What a check finds, and the shape of a check.

A new check is a function that returns a `Finding` and a row of `app.doctor.build.checks`; nothing
else knows its name. It may raise: what it raises is told as a failure of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

SECONDS = 2.0
"""Deadline of a check that has none of its own; all of them together have a little more."""


class Outcome(StrEnum):
    """How it is with what a check looks at."""

    OK = "ok"
    NOT_CONFIGURED = "not_configured"
    """No setting asks for it."""
    SKIPPED = "skipped"
    """It cannot be seen while something else has failed, which is told there."""
    WARNING = "warning"
    FAILED = "failed"


_WORSE = (Outcome.FAILED, Outcome.WARNING)


@dataclass(frozen=True)
class Finding:
    """What was found: a sentence that says it, and the next step where there is one to take."""

    outcome: Outcome
    says: str
    next_step: str | None = None


@dataclass(frozen=True)
class Check:
    """One line of the doctor's answer.

    Attributes: look (returns what it finds; made for one thread at a time), needs (checks without
    which this one can see nothing: it is skipped where one of them has failed), follows (checks
    whose fault shows here as well: where one of them has failed, what this one saw is told, and is
    no fault of its own), seconds (how long it may take), next_step (what to do where it raises
    what nobody foresaw), late (what is told where it hangs, as a look-up of a name may: no deadline
    of ours ends one).
    """

    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()
    seconds: float = SECONDS
    next_step: str = "See the service's log, and report it with `vibebox support-bundle`."
    late: Finding | None = None
    follows: tuple[str, ...] = ()


def ok(says: str) -> Finding:
    """Return that it is well."""
    return Finding(Outcome.OK, says)


def not_configured(says: str) -> Finding:
    """Return that no setting asks for it."""
    return Finding(Outcome.NOT_CONFIGURED, says)


def skipped(says: str) -> Finding:
    """Return that it cannot be seen now."""
    return Finding(Outcome.SKIPPED, says)


def warning(says: str, next_step: str) -> Finding:
    """Return what will be a fault, or may be one."""
    return Finding(Outcome.WARNING, says, next_step)


def failed(says: str, next_step: str) -> Finding:
    """Return a fault."""
    return Finding(Outcome.FAILED, says, next_step)


def worst(outcomes: list[Outcome]) -> Outcome:
    """Return the worst of them; what is not configured or was skipped makes nothing worse."""
    return next((outcome for outcome in _WORSE if outcome in outcomes), Outcome.OK)


def ended(text: str) -> str:
    """Return what others say as a sentence: with one full stop, or the mark that it has."""
    text = text.rstrip().rstrip(".")
    return text if text.endswith(("?", "!")) else f"{text}."


_SEAMS = (". ", "; ", "): ", ": ")


def parted(sentence: str, otherwise: str) -> tuple[str, str]:
    """Return what a sentence of ours says is wrong, and the next step that it goes on with.

    Errors for operators say both in one (see `app.core.errors`). `otherwise` is the next step where
    it says none.
    """
    for seam in _SEAMS:
        says, found, next_step = sentence.partition(seam)
        if found and next_step:
            kept = ")" if seam.startswith(")") else ""
            return ended(f"{says}{kept}"), ended(f"{next_step[0].upper()}{next_step[1:]}")
    return ended(sentence), otherwise


def ago(seconds: float) -> str:
    """Return a span of time as a person says it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
