"""Host ports are reserved by record, so that a conflict is told before a container is made.

What others on the host listen on nobody can reserve: that is noticed at the start.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from app.core.errors import PortReservedError
from app.domain.authorization import Identity, readable_projects
from app.storage import Environment, PortReservation, Project, insert_missing

Key = tuple[int, str]


def refuse_reserved(
    session: Session, identity: Identity, environment_id: str, ports: Iterable[Mapping[str, Any]]
) -> None:
    """Raise PortReservedError where another environment has one of the host ports."""
    taken = session.scalars(
        select(PortReservation)
        .where(
            tuple_(PortReservation.host_port, PortReservation.protocol).in_(_keys(ports)),
            PortReservation.environment_id != environment_id,
        )
        .order_by(PortReservation.host_port)
        .limit(1)
    ).first()
    if taken is not None:
        raise _reserved(session, identity, taken)


def reserve(
    session: Session, identity: Identity, environment_id: str, ports: Iterable[Mapping[str, Any]]
) -> None:
    """Make the environment's reservations these, in the caller's transaction.

    Raises: PortReservedError, of two at once too: the second waits for the end of the first.
    """
    keys = _keys(ports)
    session.execute(
        delete(PortReservation).where(
            PortReservation.environment_id == environment_id,
            tuple_(PortReservation.host_port, PortReservation.protocol).not_in(keys),
        )
    )
    if not keys:
        return
    values = [
        {"host_port": port, "protocol": protocol, "environment_id": environment_id}
        for port, protocol in keys
    ]
    # What is ours already stays; what is somebody else's is told, with its name, right below.
    insert_missing(session, PortReservation, values)
    refuse_reserved(session, identity, environment_id, ports)


class Held(NamedTuple):
    """A reservation, with the environment whose it is."""

    environment: str
    environment_id: str
    port: int
    protocol: str


def held(session: Session, numbers: Collection[int]) -> list[Held]:
    """Return the reservations of these host ports."""
    found = session.execute(
        select(
            Environment.name,
            PortReservation.environment_id,
            PortReservation.host_port,
            PortReservation.protocol,
        )
        .join(Environment, PortReservation.environment_id == Environment.id)
        .where(PortReservation.host_port.in_(numbers))
        .order_by(PortReservation.host_port, PortReservation.protocol)
    )
    return [Held(*row) for row in found]


def _keys(ports: Iterable[Mapping[str, Any]]) -> list[Key]:
    """Return the host ports asked for: in one order for all, so that no two wait in a circle."""
    return sorted((port["host_port"], port["protocol"]) for port in ports if port["host_port"])


def _reserved(session: Session, identity: Identity, taken: PortReservation) -> PortReservedError:
    """Name the other environment only to who may see it."""
    name = session.scalar(
        select(Environment.name)
        .join(Project, Environment.project_id == Project.id)
        .where(Environment.id == taken.environment_id, readable_projects(identity))
    )
    holder = f"the environment {name!r}" if name else "another environment"
    return PortReservedError(
        f"The host port {taken.host_port}/{taken.protocol} is reserved by {holder}; choose "
        "another one, or leave host_port out and Docker picks a free one."
    )
