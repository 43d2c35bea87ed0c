"""The agent's side of the records: what is to be done, and what became of it.

One process does this at a time, the leading agent, and one of its threads for each environment. A
row that is `installing` though nobody is at it was left behind by a process that died: it is done
again. The count of an installation is stored with its end (see `app.domain.durable_counters`).
"""

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from app.agent.extensions.commands import Ended
from app.domain.durable_counters import DurableCounters
from app.storage import (
    Database,
    DurableCounter,
    Environment,
    EnvironmentStatus,
    Extension,
    ExtensionPackage,
    ExtensionState,
    utc_now,
)
from app.storage.fence import Fence


class Work:
    """Reads and changes rows in a term; `fence` refuses what comes after its end."""

    def __init__(self, database: Database, counts: DurableCounters, fence: Fence) -> None:
        self._database = database
        self._counts = counts
        self._fence = fence

    def waiting(self) -> list[str]:
        """Return the environments in which there is something to do now."""
        query = (
            select(Extension.environment_id)
            .join(Environment, Extension.environment_id == Environment.id)
            .where(or_(_to_install(), _to_remove()))
            .distinct()
        )
        with self._database.reading() as session:
            return list(session.scalars(query))

    def next(self, environment_id: str) -> tuple[Extension, str | None] | None:
        """Take what is to be done first, with the container to do it in, None where it is in none.

        What is to be installed is `installing` from now on.
        """
        query = (
            select(Extension, Environment.container_id)
            .join(Environment, Extension.environment_id == Environment.id)
            .where(Extension.environment_id == environment_id, or_(_to_install(), _to_remove()))
            .order_by(Extension.created_at, Extension.id)
            .limit(1)
        )
        with self._database.writing() as session:
            self._fence(session)
            row = session.execute(query.with_for_update(of=Extension)).one_or_none()
            if row is None:
                return None
            found, container = row
            if found.state is ExtensionState.UNINSTALLING:
                container = container if found.container_id == container else None
            else:
                found.state, found.changed_at = ExtensionState.INSTALLING, utc_now()
                found.container_id = container
                found.exit_code = found.output = None
            session.flush()
            session.expunge_all()
        return found, container

    def package(self, found: Extension) -> bytes | None:
        """Return the package of an uploaded extension, None where it is gone with its row."""
        query = select(ExtensionPackage.content).where(ExtensionPackage.extension_id == found.id)
        with self._database.reading() as session:
            return session.scalar(query)

    def installed(self, found: Extension, ended: Ended) -> None:
        """Record the end of an installation, and count it; tell of it after the commit.

        Whoever has asked for its removal meanwhile gets that.
        """
        state = ExtensionState.INSTALLED if ended.is_success else ExtensionState.FAILED
        with self._database.writing() as session:
            self._fence(session)
            session.execute(
                update(Extension)
                .where(Extension.id == found.id, Extension.state == ExtensionState.INSTALLING)
                .values(_after(state, ended))
            )
            self._counts.add(session, DurableCounter.EXTENSION_INSTALLATIONS, outcome(ended), 1)

    def tell(self, ended: Ended) -> None:
        """Let the metric follow what `installed` has stored."""
        self._counts.tell(DurableCounter.EXTENSION_INSTALLATIONS, outcome(ended), 1)

    def removed(self, found: Extension, ended: Ended) -> None:
        """Delete the row of what is removed, and say why the other is not."""
        waiting = [Extension.id == found.id, Extension.state == ExtensionState.UNINSTALLING]
        with self._database.writing() as session:
            self._fence(session)
            if ended.is_success:
                session.execute(delete(Extension).where(*waiting))
            else:
                failed = _after(ExtensionState.FAILED, ended)
                session.execute(update(Extension).where(*waiting).values(failed))

    def postpone(self, found: Extension) -> None:
        """Let an installation that could not begin wait until the environment runs again."""
        with self._database.writing() as session:
            self._fence(session)
            session.execute(
                update(Extension)
                .where(Extension.id == found.id, Extension.state == ExtensionState.INSTALLING)
                .values(state=ExtensionState.PENDING, container_id=None, changed_at=utc_now())
            )


def outcome(ended: Ended) -> str:
    """Return the label of an installation."""
    return "success" if ended.is_success else "failure"


def _after(state: ExtensionState, ended: Ended) -> dict[str, object]:
    return {
        "state": state,
        "exit_code": ended.exit_code,
        "output": ended.output,
        "changed_at": utc_now(),
        "traceparent": None,
    }


def _to_install() -> ColumnElement[bool]:
    """Return the condition that a running environment lacks what it is to have.

    What is in another container than the present one, or failed in it, is tried in this one.
    """
    done = Extension.state.in_((ExtensionState.INSTALLED, ExtensionState.FAILED))
    elsewhere = or_(
        Extension.container_id.is_(None), Extension.container_id != Environment.container_id
    )
    waiting = Extension.state.in_((ExtensionState.PENDING, ExtensionState.INSTALLING))
    return and_(_runs(), or_(waiting, and_(done, elsewhere)))


def _to_remove() -> ColumnElement[bool]:
    """Return the condition that something is to be removed, and can be."""
    nowhere = or_(
        Extension.container_id.is_(None),
        Environment.container_id.is_(None),
        Extension.container_id != Environment.container_id,
    )
    return and_(Extension.state == ExtensionState.UNINSTALLING, or_(_runs(), nowhere))


def _runs() -> ColumnElement[bool]:
    return and_(
        Environment.status == EnvironmentStatus.RUNNING, Environment.container_id.is_not(None)
    )
