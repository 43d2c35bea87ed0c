"""Who reads an explanation: each sees what the routes of the API show them, and no more."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from app.core.errors import EnvironmentNotFoundError, PermissionDeniedError, StorageError
from app.domain.authorization import Action, Identity, may_in
from app.domain.environments.service import Environments
from app.domain.logs.cursors import Order
from app.domain.logs.service import Logs, Search
from app.explaining.answer import HIDDEN_ENVIRONMENT, ContainerLine, EnvironmentView
from app.explaining.recorded import Recorded
from app.storage import Environment, LogEntry

_AROUND = timedelta(seconds=1)
_LINES = 20
_NS = 1_000_000_000
Span = tuple[datetime, datetime]
"""When something began and ended."""


class Reader(Protocol):
    """Somebody who asks for an explanation."""

    @property
    def sees_signals(self) -> bool:
        """Whether they may read series, exemplars and traces of the service."""

    @property
    def sees_lines(self) -> bool:
        """Whether they may read the service's own log lines."""

    def environment(self, id: str, span: Span | None) -> EnvironmentView:
        """Return what they may read of an environment, with its log around that time; None: around
        its last exit."""


class Account:
    """An account, by its credential."""

    def __init__(self, identity: Identity, environments: Environments, logs: Logs) -> None:
        """Raises: PermissionDeniedError for one who may not read alerts at all."""
        may_in(identity, Action.ALERT_READ)
        self._identity = identity
        self._environments = environments
        self._logs = logs

    @property
    def sees_signals(self) -> bool:
        """See Reader."""
        return self._may(Action.SIGNAL_READ)

    @property
    def sees_lines(self) -> bool:
        """See Reader."""
        return self._may(Action.SERVICE_LOG_READ)

    def _may(self, action: Action) -> bool:
        try:
            may_in(self._identity, action)
        except PermissionDeniedError:
            return False
        return True

    def environment(self, id: str, span: Span | None) -> EnvironmentView:
        """See Reader."""
        try:
            found = self._environments.get(self._identity, id)
            if span is None and found.exited_at is not None:
                span = found.exited_at, found.exited_at
            lines = [] if span is None else self._log(id, span)
        except (EnvironmentNotFoundError, PermissionDeniedError):
            return EnvironmentView(id=id, missing=HIDDEN_ENVIRONMENT)
        except StorageError as error:
            return EnvironmentView(id=id, missing=error.detail)
        missing = None if lines else "it wrote nothing around that second"
        return shown(found, lines, missing)

    def _log(self, id: str, span: Span) -> Sequence[LogEntry]:
        around = Search(since=span[0] - _AROUND, until=span[1] + _AROUND)
        page = self._logs.page(self._identity, id, around, order=Order.ASC, limit=_LINES)
        return page.items


class Shell:
    """Whoever has the settings of the service: sees its signals, and no container's log."""

    sees_signals = True
    sees_lines = True

    def __init__(self, recorded: Recorded | None) -> None:
        self._recorded = recorded

    def environment(self, id: str, span: Span | None) -> EnvironmentView:
        """See Reader."""
        if self._recorded is None:
            return EnvironmentView(id=id, missing="the database was not asked")
        try:
            found = self._recorded.environments([id])
        except StorageError as error:
            return EnvironmentView(id=id, missing=error.detail)
        if not found:
            return EnvironmentView(id=id, missing="it has been deleted")
        return shown(found[0], [], f"the log of its container is {HIDDEN_ENVIRONMENT}")


def shown(found: Environment, lines: Sequence[LogEntry], missing: str | None) -> EnvironmentView:
    """Return the view of an environment that may be read."""
    return EnvironmentView(
        id=found.id,
        name=found.name,
        status=found.status,
        exit_reason=found.exit_reason,
        exit_code=found.exit_code,
        exited_at=found.exited_at,
        log=[
            ContainerLine(at=written_at(one.at_ns), stream=one.stream, line=one.line)
            for one in lines
        ],
        missing=missing,
    )


def written_at(at_ns: int) -> str:
    """Return the moment of a line in UTC, with its nanoseconds (RFC 3339)."""
    seconds, rest = divmod(at_ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
