"""Looks for the culprit of an alert that fires.

By the labels of the alert itself; else by the row of the table for a family of its expression: what
is down of that which it needs, then the worst series by a further label, then the traces of that
route, or what the database has noted. Each step stands in the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.core.errors import StorageError
from app.explaining import traced
from app.explaining.kinds import Culprit, Follow, Kind, Step
from app.explaining.recorded import Recorded
from app.explaining.table import LABELS, Asked, Look, Row
from app.explaining.traces_of import Traces
from app.explaining.watched import Watched, of_dependency

_MOST_CODE = 5
"""Routes whose traces are looked at for one that computes."""
_DATABASE, _DOCKER = "database", "docker"
_UNAVAILABLE = frozenset({"502", "503", "504"})
"""Statuses of requests that failed for want of something, and not by their own code."""
NOTHING_HOLDS = "its condition does not hold now"
NOTHING_KNOWN = "nothing is known that its series could be told apart by"
NOTHING_STANDS_OUT = "no series of it stands out"


@dataclass
class Found:
    """What was found: the steps, of which the last names the culprit; else why there is none."""

    steps: list[Step] = field(default_factory=list)
    reason: str | None = None

    @property
    def culprit(self) -> Culprit | None:
        """The last step."""
        return self.steps[-1].culprit if self.steps else None


class Search:
    """One search. `recorded` is None where there is no database to ask."""

    def __init__(self, watched: Watched, traces: Traces, recorded: Recorded | None) -> None:
        self._watched = watched
        self._traces = traces
        self._recorded = recorded
        self._trouble = ""

    def find(self) -> Found:
        """Return what was found. Raises: StoreUnavailableError (Prometheus)."""
        if not self._watched.holding:
            return Found(reason=NOTHING_HOLDS)
        if (labelled := self._by_label()) is not None:
            return labelled
        reason = NOTHING_KNOWN
        for row, asked in self._watched.rows():
            if steps := self._of_row(row, asked):
                return Found(steps)
            reason = row.nobody or self._trouble or NOTHING_STANDS_OUT
        return Found(reason=reason)

    def _by_label(self) -> Found | None:
        for label, (kind, needs) in LABELS.items():
            if value := self._watched.labels.get(label):
                named = Step(Culprit(kind, value), f"the alert says so ({label})")
                return Found([named, *self._down_of(needs)])
        return None

    def _of_row(self, row: Row, asked: Asked) -> list[Step]:
        if down := self._down_of(row.needs):
            return down
        if row.fixed is not None:
            return [Step(row.fixed, "it is the only one of its kind")]
        for look in row.looks:
            named = self._watched.worst(look, asked)
            if steps := self._followed(look, asked, named) if named else []:
                return steps
        return []

    def _down_of(self, needs: tuple[str, ...]) -> list[Step]:
        down = self._watched.down if needs else []
        return [of_dependency(check) for check in needs if check in down][:1]

    def _followed(self, look: Look, asked: Asked, named: list[Step]) -> list[Step]:
        follow = _FOLLOW.get(look.follow) if look.follow is not None else None
        return named[:1] if follow is None else follow(self, asked, named)

    def _failed(self, asked: Asked, named: list[Step]) -> list[Step]:
        """The call that failed in traces of the worst route; what is down where it is that."""
        route = named[0].culprit.id
        steps = named[:1]
        failing = [one for one in self._traces.of_route(route, failed=True) if one.root.error]
        calls = [call for one in failing if (call := traced.failed_call(one)) is not None]
        call = traced.most_common(calls)
        if call is not None and 2 * len(calls) >= len(failing):
            steps.append(Step(call, f"it failed in {len(calls)} of {len(failing)} traces"))
        # Without traces their exemplars say as much.
        seen = [one.root.attributes.get("http.response.status_code") for one in failing]
        seen = seen or [one.series.get("status_code") for one in self._traces.exemplars]
        if call is not None or not seen or _UNAVAILABLE & set(seen):
            steps += self._down_of(_needed_by(call))
        return steps

    def _slow(self, asked: Asked, named: list[Step]) -> list[Step]:
        """The calls that took most of the time of the worst route, where any did."""
        found = [
            dominant
            for one in self._traces.of_route(named[0].culprit.id)
            if (dominant := traced.dominant(one)) is not None
        ]
        call = traced.most_common([call for call, _ in found])
        if call is None:
            return named[:1]
        share = max(share for one, share in found if one == call)
        return [named[0], Step(call, f"it took {share:.0%} of a request")]

    def _code(self, asked: Asked, named: list[Step]) -> list[Step]:
        """The first route whose requests spend their time in its own code."""
        for step in named[:_MOST_CODE]:
            traces = self._traces.of_route(step.culprit.id)
            if not any(traced.dominant(one) is not None for one in traces):
                return [step]
        return []

    def _login_refusals(self, asked: Asked, named: list[Step]) -> list[Step]:
        return self._address(asked, named, "account.login_refuse", "refused sign-ins")

    def _registrations(self, asked: Asked, named: list[Step]) -> list[Step]:
        return self._address(asked, named, "account.register", "accounts")

    def _address(self, asked: Asked, named: list[Step], action: str, what: str) -> list[Step]:
        rows = self._read(lambda kept: kept.addresses(action, self._watched.seconds))
        return [named[0], *_first(Kind.ADDRESS, rows, f"{{}} {what} came from there")]

    def _exits(self, asked: Asked, named: list[Step]) -> list[Step]:
        reason = named[0].culprit.id
        rows = self._read(lambda kept: kept.exits(reason, self._watched.seconds))
        return _first(Kind.ENVIRONMENT, rows, f"its container ended so {{}} times ({reason})")

    def _status(self, asked: Asked, named: list[Step]) -> list[Step]:
        status = named[0].culprit.id
        rows = self._read(lambda kept: kept.in_status(status))
        return _first(Kind.ENVIRONMENT, rows, "{} came into this status alike, it is the latest")

    def _read(self, ask: Callable[[Recorded], list[tuple[str, int]]]) -> list[tuple[str, int]]:
        """Ask the database; where it does not answer, that is why nothing is named."""
        if self._recorded is None:
            self._trouble = "the database was not asked"
            return []
        try:
            return ask(self._recorded)
        except StorageError as error:
            self._trouble = error.detail.removesuffix(".")
            return []


def _first(kind: Kind, rows: list[tuple[str, int]], because: str) -> list[Step]:
    return [Step(Culprit(kind, id), because.format(number)) for id, number in rows[:1]]


def _needed_by(call: Culprit | None) -> tuple[str, ...]:
    """Return the checks of what a failed call is made of; of all where none is known."""
    if call is None:
        return (_DATABASE, _DOCKER)
    return (_DATABASE,) if call.kind is Kind.STATEMENT else (_DOCKER,)


_FOLLOW: dict[Follow, Callable[[Search, Asked, list[Step]], list[Step]]] = {
    Follow.FAILED: Search._failed,
    Follow.SLOW: Search._slow,
    Follow.CODE: Search._code,
    Follow.LOGIN_REFUSALS: Search._login_refusals,
    Follow.REGISTRATIONS: Search._registrations,
    Follow.EXITS: Search._exits,
    Follow.STATUS: Search._status,
}
