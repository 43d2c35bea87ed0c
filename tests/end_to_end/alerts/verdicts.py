"""What explanations say of the alerts of a fault, beside what the fault was done to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.explaining.search import NOTHING_HOLDS
from app.explaining.service import SILENT
from tests.end_to_end.alerts.faults import UNNAMED, Fault, Injected
from tests.end_to_end.alerts.stack import Stack

Named = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """What an explanation named, and what the fault was done to; none where it named nothing."""

    alert: str
    named: Named | None
    injected: Collection[Named]
    why: str

    @property
    def is_right(self) -> bool:
        """Whether they are the same."""
        return self.named in self.injected

    def __str__(self) -> str:
        said = " ".join(self.named) if self.named else f"nothing: {self.why}"
        if self.is_right:
            return f"{self.alert:28} {said}"
        wanted = " or ".join(" ".join(one) for one in sorted(self.injected)) or "nothing"
        return f"{self.alert:28} {said}  NOT {wanted} ({self.why})"


class Verdicts:
    """Asks for explanations, as `vibebox explain` does, while alerts fire."""

    def __init__(self, stack: Stack, faults: Sequence[Fault]) -> None:
        self._stack = stack
        self._faults = faults
        self.found: dict[str, Verdict] = {}

    def look_once(self, alert: str) -> None:
        """Ask for the explanation of an alert that fires, unless there is one that names something.

        Windows are short here, and what takes long has not ended once when its alert fires.
        """
        if alert not in self.found or self.found[alert].named is None:
            self.look(alert)

    def look(self, alert: str) -> None:
        """Ask for the explanation of an alert that fires."""
        injected = self._injected(alert)
        if injected is None or alert in UNNAMED:
            return
        answer = self._stack.explained(alert)
        if answer.culprit_missing in (NOTHING_HOLDS, SILENT):
            return  # it was over by then
        ids = {(str(injected.kind), id) for id in injected.ids(self._stack)}
        found = answer.culprit
        named = None if found is None else (str(found.kind), found.id)
        steps = "; ".join(f"{it.culprit.kind} {it.culprit.id}: {it.because}" for it in answer.steps)
        why = " ".join(filter(None, (answer.culprit_missing, steps, answer.traces.missing)))
        self.found[alert] = Verdict(alert, named, ids, why)

    def look_again(self) -> None:
        """Ask again, when the last of them has begun to fire."""
        for alert in sorted({name for fault in self._faults for name in fault.fires}):
            self.look(alert)

    def _injected(self, alert: str) -> Injected | None:
        for fault in self._faults:
            if alert in fault.fires:
                return fault.injected(alert)
        return None

    @property
    def unseen(self) -> set[str]:
        """Alerts that were to fire, and over whenever their explanation was asked for."""
        wanted = {name for fault in self._faults if fault.culprit for name in fault.fires}
        return wanted - set(UNNAMED) - set(self.found)

    @property
    def wrong(self) -> list[Verdict]:
        """Those that are not right."""
        return [one for one in self.found.values() if not one.is_right]

    def __str__(self) -> str:
        return "\n".join(map(str, self.found.values()))
