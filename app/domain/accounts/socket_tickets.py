"""Tickets: what a browser opens a WebSocket with, since it can send no header of its own.

A ticket works once and for half a minute, with the scopes of the credential that asked for it; so
it may stand where an access token must not: in a subprotocol or a query, which proxies may log.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.core import signals
from app.core.errors import InvalidTokenError, Limit
from app.domain.accounts.tokens import digest, new_ticket
from app.domain.accounts.validity import Credential, ended
from app.domain.authorization import Identity, Scope
from app.domain.quotas.row_limits import refuse_more
from app.storage import Database, SocketTicket, User, db_now, new_id, now

LIFE = timedelta(seconds=30)


@dataclass(frozen=True)
class Ticket:
    """A ticket that was just made; `expires_in` are seconds."""

    ticket: str
    expires_in: int


class Tickets:
    """The rules of tickets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def issue(self, identity: Identity) -> Ticket:
        """Return a ticket for the caller, and forget those of theirs that are over.

        Raises: LimitReachedError.
        """
        secret = new_ticket()
        with self._database.writing() as session:
            moment = now(session)
            old = (SocketTicket.user_id == identity.user_id) & (SocketTicket.expires_at <= moment)
            session.execute(delete(SocketTicket).where(old))
            mine = SocketTicket.user_id == identity.user_id
            refuse_more(session, Limit.TICKETS, SocketTicket, mine)
            session.add(
                SocketTicket(
                    id=new_id(),
                    user_id=identity.user_id,
                    grant_id=identity.grant_id,
                    api_key_id=identity.api_key_id,
                    scopes=sorted(identity.scopes),
                    digest=digest(secret),
                    created_at=moment,
                    expires_at=moment + LIFE,
                )
            )
        return Ticket(secret, int(LIFE.total_seconds()))

    def redeem(self, secret: str) -> Identity:
        """Use up a ticket and return whose it was; of two that try at once, one succeeds.

        Raises: InvalidTokenError.
        """
        with self._database.writing() as session:
            used = session.execute(
                delete(SocketTicket)
                .where(SocketTicket.digest == digest(secret), SocketTicket.expires_at > db_now())
                .returning(
                    SocketTicket.user_id,
                    SocketTicket.grant_id,
                    SocketTicket.api_key_id,
                    SocketTicket.scopes,
                )
            ).one_or_none()
            user = session.get(User, used.user_id) if used is not None else None
            good = used is not None and user is not None and _stands(session, used)
        signals.emit(signals.authentication, method="websocket", success=good)
        if used is None or user is None or not good:
            raise InvalidTokenError("The ticket is unknown, used or older than 30 seconds.")
        return Identity(
            user.id,
            user.email,
            user.is_operator,
            grant_id=used.grant_id,
            api_key_id=used.api_key_id,
            scopes=frozenset(Scope(scope) for scope in used.scopes),
            is_synthetic=user.is_synthetic,
        )


def _stands(session: Session, used: Any) -> bool:
    """Tell whether the credential that a ticket was made with is still good."""
    return not ended(session, [Credential(used.user_id, used.grant_id, used.api_key_id)])
