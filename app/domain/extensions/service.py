"""Extensions: what an environment's VS Code server is to have. The agent sees to it.

What is asked for is recorded, and holds for every container that the environment will have.
"""

import threading
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.errors import ExtensionConflictError, ExtensionNotFoundError, Limit, LimitReachedError
from app.core.trace_context import traceparent
from app.domain import audit
from app.domain.authorization import Action, Identity, environment_for
from app.domain.extensions import packages
from app.domain.paging import Page
from app.domain.quotas.row_limits import refuse_more
from app.storage import (
    Database,
    Environment,
    Extension,
    ExtensionPackage,
    ExtensionState,
    Project,
    new_id,
    utc_now,
)

_BUSY = (ExtensionState.INSTALLING, ExtensionState.UNINSTALLING)


# Uploads that are kept, in the largest packages there may be: of an environment, and of an account.
_KEPT_PER_ENVIRONMENT = 8
_KEPT_PER_ACCOUNT = 32
_ENVIRONMENT, _ACCOUNT = "an environment", "an account"


class Extensions:
    """The rules of extensions; `app.domain.authorization` decides who sees and changes which."""

    def __init__(self, database: Database, limit_mb: int) -> None:
        self._database = database
        self._storing = threading.Lock()
        self.largest = limit_mb * 1024 * 1024
        """Bytes of an uploaded package, at most."""

    def may_change(self, identity: Identity, environment_id: str) -> None:
        """Return where the caller may install, before a large body is read.

        Raises: EnvironmentNotFoundError, PermissionDeniedError.
        """
        with self._database.reading() as session:
            environment_for(session, identity, environment_id, Action.EXTENSION_CHANGE)

    def install(self, identity: Identity, environment_id: str, reference: str) -> Extension:
        """Have an extension of the gallery installed, also one that is or failed, again.

        Raises: EnvironmentNotFoundError, PermissionDeniedError, ExtensionConflictError,
        LimitReachedError.
        """
        name, version = packages.split(reference)
        return self._put(identity, environment_id, name, version, None)

    def upload(self, identity: Identity, environment_id: str, content: bytes) -> Extension:
        """Have the extension in a .vsix installed.

        Raises: InvalidInputError for what is none, LimitReachedError, and as `install`.
        """
        found = packages.read(content)
        # Drivers make several copies of what they store.
        with self._storing:
            return self._put(identity, environment_id, found.name, found.version, content)

    def list(
        self,
        identity: Identity,
        environment_id: str,
        state: ExtensionState | None,
        *,
        limit: int,
        offset: int,
    ) -> Page[Extension]:
        """Return a page, oldest first. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        wanted = Extension.environment_id == environment_id
        if state is not None:
            wanted &= Extension.state == state
        with self._database.reading() as session:
            environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            total = session.scalar(select(func.count()).select_from(Extension).where(wanted))
            page = select(Extension).where(wanted).order_by(Extension.created_at, Extension.id)
            items = list(session.scalars(page.limit(limit).offset(offset)))
            session.expunge_all()
        return Page(items, total or 0)

    def get(self, identity: Identity, environment_id: str, extension_id: str) -> Extension:
        """Return one. Raises: ExtensionNotFoundError, and as `list`."""
        with self._database.reading() as session:
            environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            found = _one(session, environment_id, extension_id)
            session.expunge_all()
        return found

    def delete(self, identity: Identity, environment_id: str, extension_id: str) -> Extension:
        """Have an extension removed; its record goes once it is gone from the container.

        Raises: ExtensionNotFoundError, EnvironmentNotFoundError, PermissionDeniedError.
        """
        with self._database.writing() as session:
            environment = _locked(session, identity, environment_id)
            found = _one(session, environment_id, extension_id)
            _move(found, ExtensionState.UNINSTALLING)
            _audit(session, identity, "extension.remove", found, environment)
            session.flush()
            session.expunge_all()
        return found

    def _put(
        self,
        identity: Identity,
        environment_id: str,
        name: str,
        version: str | None,
        content: bytes | None,
    ) -> Extension:
        try:
            with self._database.writing() as session:
                environment = _locked(session, identity, environment_id)
                found = _record(session, environment_id, name)
                found.user_id, found.version = identity.user_id, version
                found.uploaded = content is not None
                session.flush()
                _keep(session, found, content)
                if content is not None:
                    self._refuse_too_much(session, found)
                _audit(session, identity, "extension.install", found, environment, version=version)
                session.flush()
                session.expunge_all()
        except IntegrityError as error:  # SQLite locks no rows
            raise ExtensionConflictError("Somebody else asks for it as well.") from error
        return found

    def _refuse_too_much(self, session: Session, added: Extension) -> None:
        """Refuse packages that are too large together. Raises: LimitReachedError."""
        kept = select(func.coalesce(func.sum(func.length(ExtensionPackage.content)), 0)).join(
            Extension, ExtensionPackage.extension_id == Extension.id
        )
        for owned, number, owner in (
            (Extension.environment_id == added.environment_id, _KEPT_PER_ENVIRONMENT, _ENVIRONMENT),
            (Extension.user_id == added.user_id, _KEPT_PER_ACCOUNT, _ACCOUNT),
        ):
            most = number * self.largest
            if (session.scalar(kept.where(owned)) or 0) > most:
                raise LimitReachedError(Limit.PACKAGES, most // 2**20, owner)


def _locked(session: Session, identity: Identity, environment_id: str) -> Environment:
    return environment_for(session, identity, environment_id, Action.EXTENSION_CHANGE, lock=True)


def _one(session: Session, environment_id: str, extension_id: str) -> Extension:
    found = session.get(Extension, extension_id)
    if found is None or found.environment_id != environment_id:
        raise ExtensionNotFoundError
    return found


def _record(session: Session, environment_id: str, name: str) -> Extension:
    """Return the row of that name, a new one where there is none, waiting to be installed."""
    query = select(Extension).where(
        Extension.environment_id == environment_id, Extension.name == name
    )
    found = session.scalars(query.with_for_update()).one_or_none()
    if found is None:
        ours = Extension.environment_id == environment_id
        refuse_more(session, Limit.EXTENSIONS, Extension, ours)
        found = Extension(id=new_id(), environment_id=environment_id, name=name)
        session.add(found)
    elif found.state in _BUSY:
        raise ExtensionConflictError(
            f"The extension is {found.state} at the moment; try again when that is over."
        )
    _move(found, ExtensionState.PENDING)
    return found


def _move(found: Extension, state: ExtensionState) -> None:
    found.state, found.changed_at = state, utc_now()
    found.exit_code = found.output = None
    found.traceparent = traceparent()


def _keep(session: Session, found: Extension, content: bytes | None) -> None:
    """Keep the package, in place of one there was."""
    session.execute(delete(ExtensionPackage).where(ExtensionPackage.extension_id == found.id))
    if content is not None:
        session.add(ExtensionPackage(extension_id=found.id, content=content))


def _audit(
    session: Session,
    identity: Identity,
    action: str,
    found: Extension,
    environment: Environment,
    **details: Any,
) -> None:
    team_id = session.scalar(
        select(Project.owner_team_id).where(Project.id == environment.project_id)
    )
    target = audit.Target("extension", found.id, found.name, environment.project_id, team_id)
    audit.record(session, identity, action, target, environment=environment.id, **details)
