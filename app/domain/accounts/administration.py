"""Accounts in the hands of operators: listed, disabled, enabled, deleted, given a password.

An `identity` of None is the command line: whoever has the database in hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.errors import (
    AccountInUseError,
    EmailTakenError,
    InvalidInputError,
    LastOperatorError,
    UserNotFoundError,
)
from app.domain import audit
from app.domain.accounts import first_account, handover
from app.domain.accounts.invitations import revoke_those_of
from app.domain.accounts.logins import end_logins
from app.domain.accounts.operators import is_last_operator
from app.domain.accounts.passwords import Passwords
from app.domain.accounts.registration import add_account
from app.domain.authorization import Action, Identity, may_in
from app.domain.paging import Page
from app.storage import Database, EndReason, Environment, Project, User, db_now


@dataclass(frozen=True)
class AccountOf:
    """An account, as operators see it; `environments` are those of its own projects."""

    id: str
    email: str
    is_operator: bool
    is_synthetic: bool
    created_at: datetime
    last_authenticated_at: datetime | None
    disabled_at: datetime | None
    environments: int


class Administration:
    """What operators do to accounts. Every method raises PermissionDeniedError to others."""

    def __init__(
        self, database: Database, passwords: Passwords, check_room: Callable[[Session], None]
    ) -> None:
        """`check_room` raises LimitReachedError where there may be no more accounts."""
        self._database = database
        self._passwords = passwords
        self._check_room = check_room

    def list(
        self, identity: Identity | None, *, search: str | None = None, limit: int, offset: int
    ) -> Page[AccountOf]:
        """Return a page of the accounts, newest first; `search` is a part of their address."""
        _demand(identity, Action.ACCOUNT_READ)
        wanted = User.email.contains((search or "").lower(), autoescape=True)
        newest = User.created_at.desc(), User.id.desc()
        with self._database.reading() as session:
            total = session.scalar(select(func.count()).select_from(User).where(wanted)) or 0
            page = _accounts().where(wanted).order_by(*newest).limit(limit).offset(offset)
            return Page([AccountOf(*row) for row in session.execute(page)], total)

    def get(self, identity: Identity | None, account_id: str) -> AccountOf:
        """Return one account. Raises: UserNotFoundError."""
        _demand(identity, Action.ACCOUNT_READ)
        with self._database.reading() as session:
            return _one(session, account_id)

    def create(self, email: str, password: str, *, operator: bool, synthetic: bool = False) -> str:
        """Make an account from the command line, whoever may register, and return its id.

        A `synthetic` one is nobody's; that is said now or never.

        Raises: EmailTakenError, LimitReachedError.
        """
        hashed = self._passwords.hash(password)
        try:
            with self._database.writing() as session:
                if not synthetic:
                    first_account.withdraw(session)
                self._check_room(session)
                user = add_account(session, email, hashed, operator=operator, synthetic=synthetic)
                told = {"synthetic": True} if synthetic else {}
                audit.record(
                    session, None, "account.create", _target(user), operator=operator, **told
                )
                return user.id
        except IntegrityError as error:
            raise EmailTakenError from error

    def disable(self, identity: Identity | None, account_id: str) -> AccountOf:
        """Let no credential of the account be good: its logins end, its API keys rest.

        What it runs goes on. Doing it again changes nothing.
        Raises: UserNotFoundError, LastOperatorError.
        """
        _demand(identity, Action.ACCOUNT_CHANGE)
        with self._database.writing() as session:
            last = is_last_operator(session, account_id)
            user = _locked(session, account_id)
            if user.disabled_at is None:
                if last:
                    raise LastOperatorError
                user.disabled_at = db_now()
                session.flush()
                end_logins(session, user.id, EndReason.DISABLED)
                revoke_those_of(session, user.id)
                audit.record(session, identity, "account.disable", _target(user))
            return _one(session, account_id)

    def enable(self, identity: Identity | None, account_id: str) -> AccountOf:
        """Let the account sign in again; its API keys are good again. Raises: UserNotFoundError."""
        _demand(identity, Action.ACCOUNT_CHANGE)
        with self._database.writing() as session:
            user = _locked(session, account_id)
            if user.disabled_at is not None:
                user.disabled_at = None
                audit.record(session, identity, "account.enable", _target(user))
                session.flush()
            return _one(session, account_id)

    def set_password(self, identity: Identity | None, account_id: str, password: str) -> None:
        """Give the account another password, and end all its logins. Raises: UserNotFoundError."""
        _demand(identity, Action.ACCOUNT_CHANGE)
        self.get(identity, account_id)
        hashed = self._passwords.hash(password)
        with self._database.writing() as session:
            user = _locked(session, account_id)
            user.password_hash = hashed
            session.flush()
            end_logins(session, user.id, EndReason.PASSWORD)
            # Of a synthetic account with all else that it does, which is kept for days, not years.
            actor = Identity(user.id, user.email) if user.is_synthetic else identity
            audit.record(session, actor, "account.password_set", _target(user))

    def delete(
        self, identity: Identity | None, account_id: str, transfer_to: str | None = None
    ) -> None:
        """Delete an account, and what nobody else uses and nothing runs in.

        Its environments, and teams that it alone administers, are handed over to another account;
        without one that is refused, since a container must not outlive its record.
        Raises: UserNotFoundError, AccountInUseError, LastOperatorError, InvalidInputError.
        """
        _demand(identity, Action.ACCOUNT_CHANGE)
        if transfer_to == account_id:
            message = "Name another account than the one that is deleted."
            raise InvalidInputError([{"field": "transfer_to", "message": message}])
        with self._database.writing() as session:
            handover.lock_teams(session, account_id)
            if is_last_operator(session, account_id):
                raise LastOperatorError
            user = _locked(session, account_id, transfer_to)
            left = handover.found(session, user)
            if transfer_to is not None:
                heir = session.get_one(User, transfer_to)
                if heir.is_synthetic:
                    message = "Name an account of a person: this one is synthetic."
                    raise InvalidInputError([{"field": "transfer_to", "message": message}])
                handover.hand_over(session, identity, left, heir)
            elif left:
                raise AccountInUseError(left.in_words())
            handover.delete_own_teams(session, identity, user)
            revoke_those_of(session, user.id)
            audit.record(session, identity, "account.delete", _target(user))
            session.flush()
            session.execute(delete(User).where(User.id == user.id))

    def id_of(self, email: str) -> str:
        """Return the id of the account of an address. Raises: UserNotFoundError."""
        with self._database.reading() as session:
            found = session.scalar(select(User.id).where(User.email == email))
        if found is None:
            raise UserNotFoundError(f"No account has the e-mail address {email}.")
        return found


def _demand(identity: Identity | None, action: Action) -> None:
    if identity is not None:
        may_in(identity, action)


def _locked(session: Session, account_id: str, other_id: str | None = None) -> User:
    """Return the account; nobody changes it, or the other one, until the transaction ends."""
    ids = [account_id] if other_id is None else [account_id, other_id]
    rows = select(User).where(User.id.in_(ids)).order_by(User.id).with_for_update()
    found = {user.id: user for user in session.scalars(rows)}
    if len(found) < len(ids):
        raise UserNotFoundError
    return found[account_id]


def _accounts() -> Select[str, str, bool, bool, datetime, datetime | None, datetime | None, int]:
    environments = (
        select(func.count())
        .select_from(Environment)
        .join(Project, Environment.project_id == Project.id)
        .where(Project.owner_user_id == User.id)
        .correlate(User)
        .scalar_subquery()
    )
    return select(
        User.id,
        User.email,
        User.is_operator,
        User.is_synthetic,
        User.created_at,
        User.last_authenticated_at,
        User.disabled_at,
        environments,
    )


def _one(session: Session, account_id: str) -> AccountOf:
    row = session.execute(_accounts().where(User.id == account_id)).one_or_none()
    if row is None:
        raise UserNotFoundError
    return AccountOf(*row)


def _target(user: User) -> audit.Target:
    return audit.Target("account", user.id, user.email)
