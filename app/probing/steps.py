"""Carries out steps one after the other, each under a deadline that nothing can outlast.

A step has a thread of its own: a name that is looked up, a proxy that sends a byte a second and a
terminal that is silent are bounded alike. What is left of one that is late is shut, which ends it.
"""

import threading
from collections.abc import Callable
from time import monotonic

from app.probing.failure import CutOffError, StepError
from app.storage import ProbeStep

_LOOK = 0.2
_END_SECONDS = 2.0
_LATE = {
    ProbeStep.SIGN_IN: "See whether the proxy, the web server or the database hangs or is "
    "overloaded: the checks `web` and `database` of `vibebox doctor`.",
    ProbeStep.START: "See whether an agent is at work and Docker Engine well (the checks `agent` "
    "and `docker` of `vibebox doctor`), and how long the image takes to be pulled.",
    ProbeStep.COMMAND: "See whether the proxy passes on WebSockets, and whether Docker Engine is "
    "slow (dashboard Environments).",
    ProbeStep.STOP: "See whether Docker Engine is slow; an image whose command ignores SIGTERM "
    "takes VIBEBOX_STOP_GRACE to stop.",
}
_LATE_ELSE = (
    "See whether the proxy, the web server or Docker Engine hangs: the checks `web` and `docker` "
    "of `vibebox doctor`."
)


class FailedError(Exception):
    """A step has failed: `step`, and what its `StepError` says."""

    def __init__(self, step: ProbeStep, error: StepError) -> None:
        self.step = step
        self.says = error.says
        self.next_step = error.next_step
        super().__init__(f"{step}: {error.says}")


class Steps:
    """Carries out the steps of one round; `each` is what one may take, `seconds` what it took."""

    def __init__(self, each: float, total: float, stopping: Callable[[], bool]) -> None:
        self.seconds: dict[str, float] = {}
        self.each = each
        self._ends_at = monotonic() + total
        self._stopping = stopping

    def do(self, step: ProbeStep, work: Callable[[], None], shut: Callable[[], None]) -> None:
        """Do one; `shut` makes `work` end. Raises: FailedError, CutOffError."""
        allowed = min(self.each, self._ends_at - monotonic())
        if allowed <= 0:
            late = StepError(
                "It was not begun: the steps before it took all the time of the round.",
                "See which of them were slow (vibebox_probe_step_duration_seconds), or raise "
                "VIBEBOX_PROBE_TIMEOUT.",
            )
            raise FailedError(step, late)
        started = monotonic()
        try:
            self._run(step, work, shut, allowed)
        except StepError as error:
            if self._stopping():  # what it met may be the same end: of the host, of a release
                raise CutOffError from error
            raise FailedError(step, error) from error
        finally:
            self.seconds[step.value] = monotonic() - started

    def _run(
        self,
        step: ProbeStep,
        work: Callable[[], None],
        shut: Callable[[], None],
        allowed: float,
    ) -> None:
        ends_at, raised = monotonic() + allowed, []

        def guarded() -> None:
            try:
                work()
            except Exception as error:
                raised.append(error)

        thread = threading.Thread(target=guarded, name=f"probe-{step}", daemon=True)
        thread.start()
        while thread.is_alive() and monotonic() < ends_at and not self._stopping():
            thread.join(min(_LOOK, max(0.0, ends_at - monotonic())))
        if thread.is_alive():
            is_late = monotonic() >= ends_at
            shut()
            thread.join(_END_SECONDS)
            if not is_late:
                raise CutOffError
            raise StepError(f"It did not end within {allowed:.3g} s.", _LATE.get(step, _LATE_ELSE))
        if raised:
            raise raised[0]
