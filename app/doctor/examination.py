"""Examines: all checks at once, each under a deadline, whatever becomes of the others.

A check that hangs is not waited for, and not begun a second time while it does: its thread is one,
however often somebody asks.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from app._version import __version__
from app.core import deadline
from app.core.errors import VibeBoxError
from app.core.logging import redact
from app.core.single_flight import DeadlineExceededError, Run, SingleFlight
from app.doctor.answer import CheckView, Examination
from app.doctor.findings import Check, Finding, Outcome, ended, failed, skipped, worst
from app.doctor.looks import reason
from app.domain.authorization import Action, Identity, may_in

MARGIN = 0.5
"""Seconds beyond a check's deadline, for what ends by that deadline to say so itself."""
TOTAL = 6.0
"""Seconds for all of them, whatever deadlines they have."""
LONGEST = 1000
"""Characters of a sentence: what others answer goes into it."""
_READ = 4 * LONGEST


class Doctor:
    """Examines an installation; any thread may ask. `close` it after use."""

    def __init__(self, checks: Sequence[Check], close: Callable[[], None] = lambda: None) -> None:
        """checks: in the order in which they are told; close: gives back what they use."""
        self._checks = tuple(checks)
        self._close = close
        self._lock = threading.Lock()
        self._flights = {check.name: _flight(check) for check in checks}

    def examine(self) -> Examination:
        """Return what all checks find. Raises nothing of theirs."""
        ends_at = time.monotonic() + TOTAL
        runs = [(check, self._begin(check)) for check in self._checks]
        found = {check.name: self._finish(check, run, ends_at) for check, run in runs}
        self._let_threads_end()
        known = {name: finding for name, (finding, _) in found.items()}
        told = [
            # One that hangs is told as what it was waited for, not as the hours that it may last.
            _view(
                check.name,
                _in_sight(check, known),
                min(found[check.name][1], check.seconds + MARGIN),
            )
            for check in self._checks
        ]
        return examination(told)

    def examine_for(self, identity: Identity) -> Examination:
        """Return the same for an account. Raises: PermissionDeniedError."""
        may_in(identity, Action.SERVICE_EXAMINE)
        return self.examine()

    def close(self) -> None:
        """End the threads of the checks after what they are doing."""
        for flight in self._flights.values():
            flight.close()
        self._close()

    def _begin(self, check: Check) -> Run[Finding]:
        try:
            with self._lock:
                return self._flights[check.name].begin()
        except RuntimeError as error:  # there is no thread left
            return Run.failed(error)

    def _let_threads_end(self) -> None:
        """End the threads that do nothing: a worker is examined now and then, and lives for long.

        One that hangs stays, so that it is not begun again.
        """
        with self._lock:
            for check in self._checks:
                if not self._flights[check.name].busy:
                    self._flights[check.name].close()
                    self._flights[check.name] = _flight(check)

    def _finish(self, check: Check, run: Run[Finding], ends_at: float) -> tuple[Finding, float]:
        try:
            patience = min(check.seconds + MARGIN, run.seconds + ends_at - time.monotonic())
            return run.result(patience), run.seconds
        except DeadlineExceededError:
            late = failed(f"No answer within {check.seconds:g} s.", check.next_step)
            return check.late or late, run.seconds
        except Exception as error:
            return failed(_sentence(error), check.next_step), run.seconds


def _flight(check: Check) -> SingleFlight[Finding]:
    return SingleFlight(f"doctor-{check.name}", _bounded(check))


def examination(told: list[CheckView]) -> Examination:
    """Return the answer that consists of these lines."""
    return Examination(
        outcome=worst([line.outcome for line in told]),
        at=datetime.now(UTC),
        version=__version__,
        checks=told,
    )


def _bounded(check: Check) -> Callable[[], Finding]:
    def look() -> Finding:
        with deadline.within(check.seconds):
            return check.look()

    return look


def _in_sight(check: Check, found: dict[str, Finding]) -> Finding:
    """Return what the check found, or why it cannot have seen anything."""
    its = found[check.name]
    if its.outcome is Outcome.NOT_CONFIGURED:
        return its
    if blind := _failed(check.needs, found):
        return skipped(f"Not looked at, because of {blind}.")
    if cause := _failed(check.follows, found):
        return skipped(f"Not judged, because of {cause}. {its.says}")
    return its


def _failed(names: Sequence[str], found: dict[str, Finding]) -> str:
    """Return those of them that have failed, in a sentence; "" where none has."""
    return " and ".join(name for name in names if found[name].outcome is Outcome.FAILED)


def _sentence(error: Exception) -> str:
    told = error.detail if isinstance(error, VibeBoxError) else f"The check failed: {reason(error)}"
    return ended(told)


def _view(name: str, finding: Finding, seconds: float) -> CheckView:
    return CheckView(
        name=name,
        outcome=finding.outcome,
        says=_told(finding.says),
        next_step=finding.next_step and _told(finding.next_step),
        seconds=round(seconds, 3),
    )


def _told(text: str) -> str:
    """Return a sentence without secrets, cut where it is none of ours any more."""
    # Cut after what is secret is out, so that no half of it stays.
    shown = redact(text[:_READ])
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} …"


def only_settings(mistakes: Sequence[str], names: Sequence[str]) -> Examination:
    """Return the answer where the settings cannot be used: nothing else can be looked at.

    names: of all checks, the one of the settings first.
    """
    first, *others = names
    told = [
        _view(
            first,
            failed(
                ended("; ".join(mistakes)),
                "Correct it in the environment or .env, as .env.example has it: no process of this "
                "release starts with it.",
            ),
            0.0,
        )
    ]
    told += [_view(name, skipped(f"Not looked at, because of {first}."), 0.0) for name in others]
    return examination(told)
