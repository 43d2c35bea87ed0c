"""Watches which alerts fire while faults last, and that all are over after them."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from tests.backends.programs import ServiceError, wait_until
from tests.end_to_end.alerts.faults import LATE, MACHINE, Fault
from tests.end_to_end.alerts.load import Caller, Load
from tests.end_to_end.alerts.stack import Stack
from tests.end_to_end.alerts.verdicts import Verdicts
from tests.monitoring.boards.stats import still_shown

POLL = 0.2


def _wait_until_nothing_is_shown(stack: Stack, source: str) -> None:
    """Wait until no panel of one number shows what it showed while its source lived."""

    def shown() -> list[str]:
        return still_shown(stack.prometheus.query, source)

    wait_until(lambda: not shown(), 30, POLL, lambda: f"still shown: {shown()}")


class Watch:
    """What was seen: seconds until each alert fired, and what Alertmanager held back."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._began = time.monotonic()
        self.seconds: dict[str, float] = {}
        self.suppressed: set[str] = set()
        self.on_firing: Callable[[str], object] = lambda _name: None
        """Called with each alert that fires, whenever somebody looks."""

    def look(self) -> set[str]:
        """Look once; return the alerts that fire now."""
        firing = self._stack.firing()
        for name in sorted(firing):
            self.seconds.setdefault(name, time.monotonic() - self._began)
            self.on_firing(name)
        self.note_suppressed()
        return firing

    def note_suppressed(self) -> None:
        """Note what Alertmanager holds back now."""
        self.suppressed |= self._stack.suppressed()

    def until(self, wanted: set[str], timeout: float) -> None:
        """Look until all of these have fired."""

        def seen() -> bool:
            self.look()
            return wanted <= set(self.seconds)

        wait_until(seen, timeout, POLL, lambda: f"missing {wanted - set(self.seconds)}: {self}")

    def downs(self) -> int:
        """Return how often ServiceDown was told; it holds the others back."""
        return self._stack.receiver.told.count(("vibebox", "firing", "ServiceDown"))

    def until_over(self, names: set[str], timeout: float, downs: int) -> None:
        """Look until none of these fires and the receiver knows.

        downs: how often ServiceDown had been told before the faults were undone.
        """
        receiver = self._stack.receiver

        def over() -> bool:
            # The end of what is held back, if only at last, is told to nobody. What ends while the
            # service is started anew is shown as held back nowhere, since it has ended.
            told = receiver.names("vibebox", "firing") & names - self.suppressed
            ends = receiver.names("vibebox", "resolved")
            return not self.look() & names and (told <= ends or self.downs() > downs)

        wait_until(over, timeout, POLL, lambda: f"still {self.look() & names}; {receiver.told}")

    def __str__(self) -> str:
        rows = sorted(self.seconds.items(), key=lambda row: row[1])
        return "\n".join(
            f"{name:28} {seconds:6.1f} s  {'inhibited' if name in self.suppressed else 'sent'}"
            for name, seconds in rows
        )


def ordinary(stack: Stack, pause: float = 1.0) -> Load:
    """Return the requests of a user who looks at this and that."""
    caller = Caller(stack.server.port, str(stack.api.tokens["access_token"]))
    paths = iter(["/api/v1/auth/me", "/api/v1/environments", "/api/v1/projects"] * 10**6)
    return Load(lambda: caller.call("GET", next(paths)), pause=pause)


def stays_silent(stack: Stack, seconds: float) -> Watch:
    """Watch so long; raise ServiceError where an alert fires but those that the machine makes."""
    watch, end = Watch(stack), time.monotonic() + seconds
    while time.monotonic() < end:
        watch.look()
        time.sleep(POLL)
    if fired := set(watch.seconds) - MACHINE:
        raise ServiceError(f"{fired} fired, and nothing is wrong:\n{watch}")
    return watch


def run(
    stack: Stack,
    faults: Sequence[Fault],
    verdicts: Verdicts,
    timeout: float = 90,
    patient: bool = False,
) -> Watch:
    """Make the faults at once; their alerts and no others fire, are sent or held back, and end.

    What explanations say of them meanwhile is in `verdicts`.
    Raises: AssertionError or ServiceError that says what fired instead.
    """
    fires = {name for fault in faults for name in fault.fires}
    inhibited = {name for fault in faults for name in fault.inhibited}
    before = stack.firing()  # budgets that still burn
    watch = Watch(stack)
    stack.harmed.clear()
    with ExitStack() as made:
        for fault in faults:
            if fault.beside is not None:
                made.enter_context(fault.beside(stack))
        for fault in faults:
            made.enter_context(fault.make(stack))
        watch.on_firing = verdicts.look_once
        watch.until(fires, timeout)
        verdicts.look_again()
        gone = [series for fault in faults for series in fault.gone]
        wait_until(lambda: not any(map(stack.prometheus.query, gone)), 30, POLL)
        for source in filter(None, (fault.source for fault in faults)):
            _wait_until_nothing_is_shown(stack, source)
        sent = fires - inhibited
        wait_until(lambda: sent <= stack.receiver.names("vibebox", "firing"), 30, POLL)
        wait_until(lambda: bool(watch.look()) and inhibited <= watch.suppressed, 30, POLL)
        downs = watch.downs()
        # Where that starts the service anew, ServiceDown may hold others back meanwhile.
        with Load(watch.note_suppressed, pause=POLL):
            made.close()
    watch.until_over({name for fault in faults for name in fault.resolves(patient)}, timeout, downs)
    also = {name for fault in faults for name in fault.also} | MACHINE | LATE | before
    unexpected = set(watch.seconds) - fires - also
    if unexpected:
        raise ServiceError(f"{unexpected} fired as well:\n{watch}")
    return watch
