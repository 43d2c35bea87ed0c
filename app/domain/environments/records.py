"""The records of environments: made, listed, looked at. Nothing here needs Docker."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr
from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.attributes import set_committed_value

from app.core.errors import EnvironmentNameTakenError, InvalidInputError
from app.domain import audit
from app.domain.authorization import (
    Action,
    Identity,
    environment_for,
    environments_seen,
    may_in,
    project_for,
    readable_projects,
    seen,
)
from app.domain.environments import ports, pull_records
from app.domain.environments.expiry import refuse_expiry
from app.domain.environments.host_ports import HostPorts
from app.domain.fields import MAX_VARIABLES, MAX_VARIABLES_BYTES
from app.domain.paging import Page
from app.domain.projects.personal import personal_project
from app.domain.quotas.checks import Checks
from app.domain.secrets.values import SecretValues
from app.storage import Database, Environment, EnvironmentStatus, Project, new_id


class Records:
    """Creates and reads records."""

    def __init__(
        self,
        database: Database,
        secret_values: SecretValues,
        quotas: Checks,
        host_ports: HostPorts,
    ) -> None:
        self._database = database
        self._host_ports = host_ports
        self._quotas = quotas
        self._secret_values = secret_values

    def create(
        self, identity: Identity, fields: Mapping[str, Any], project_id: str | None
    ) -> Environment:
        """Record a new environment, stopped. Raises: as `Environments.create`."""
        plain: Mapping[str, SecretStr] = fields["secrets"]
        self._host_ports.refuse(fields["ports"])
        secrets = {
            name: self._secret_values.encrypt(value.get_secret_value())
            for name, value in plain.items()
        }
        refuse_ambiguous(fields["env"], secrets)
        with unique_name(), self._database.writing() as session:
            project = project_for(
                session,
                identity,
                project_id or personal_project(session, identity),
                Action.ENVIRONMENT_CREATE,
            )
            refuse_expiry(session, fields)
            self._quotas.check_create(session, identity, project, fields)
            environment = Environment(
                id=new_id(),
                project_id=project.id,
                created_by=identity.user_id,
                is_synthetic=identity.is_synthetic,
                **{**fields, "secrets": secrets},
            )
            session.add(environment)
            session.flush()
            ports.reserve(session, identity, environment.id, fields["ports"])
            target = audit.Target.of_environment(environment, project.owner_team_id)
            audit.record(session, identity, "environment.create", target)
            session.flush()
            session.refresh(environment)
            session.expunge(environment)
            environment.caller_role = project.caller_role
        set_committed_value(environment, "pull_progress", None)
        return environment

    def list(
        self,
        identity: Identity,
        *,
        project_id: str | None,
        status: EnvironmentStatus | None,
        limit: int,
        offset: int,
    ) -> Page[Environment]:
        """Return a page, newest first. Raises: as `Environments.list`."""
        wanted: ColumnElement[bool] = true()
        if project_id is not None:
            wanted &= Environment.project_id == project_id
        if status is not None:
            wanted &= Environment.status == status
        newest = Environment.created_at.desc(), Environment.id.desc()
        may_in(identity, Action.ENVIRONMENT_READ)
        with self._database.reading() as session:
            if project_id is not None:
                project_for(session, identity, project_id, Action.ENVIRONMENT_READ)
            visible = select(Project.id).where(readable_projects(identity))
            counted = wanted & Environment.project_id.in_(visible)
            total = session.scalar(select(func.count()).select_from(Environment).where(counted))
            page = environments_seen(identity).where(wanted).order_by(*newest)
            items = seen(identity, session.execute(page.limit(limit).offset(offset)))
            pull_records.show(session, items)
            session.expunge_all()
        return Page(items, total or 0)

    def get(
        self, identity: Identity, environment_id: str, action: Action = Action.ENVIRONMENT_READ
    ) -> Environment:
        """Return one environment, to whoever may do `action` and so sees what became of it.

        Raises: EnvironmentNotFoundError, PermissionDeniedError.
        """
        with self._database.reading() as session:
            environment = environment_for(session, identity, environment_id, action)
            pull_records.show(session, [environment])
            session.expunge_all()
        return environment


def refuse_ambiguous(env: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    """Raise InvalidInputError where a variable is both secret and not, or there are too many.

    `secrets` are as they are stored.
    """
    both = sorted(set(env) & set(secrets))
    errors = [
        {"field": f"secrets.{name}", "message": "Is in env already; name it in one of both."}
        for name in both
    ]
    if len(secrets) > MAX_VARIABLES:
        errors.append({"field": "secrets", "message": f"Name at most {MAX_VARIABLES}."})
    # Encrypted they take a third more, and a hundred characters each.
    if sum(map(len, secrets.values())) > 2 * MAX_VARIABLES_BYTES:
        message = f"Enter at most {MAX_VARIABLES_BYTES // 1024} KiB in all."
        errors.append({"field": "secrets", "message": message})
    if errors:
        raise InvalidInputError(errors)


@contextmanager
def unique_name() -> Iterator[None]:
    """Translate the one constraint that a caller can break."""
    try:
        yield
    except IntegrityError as error:
        raise EnvironmentNameTakenError from error
