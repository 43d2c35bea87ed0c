"""Who may make an account: anybody, whoever is invited, or nobody; and how one is made."""

from collections.abc import Callable
from enum import StrEnum

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core import signals
from app.core.errors import (
    EmailTakenError,
    InvitationInvalidError,
    LimitReachedError,
    RegistrationClosedError,
    TooManyAttemptsError,
)
from app.domain import audit
from app.domain.accounts.invitations import FIRST, is_open
from app.domain.accounts.passwords import Passwords
from app.domain.accounts.service import Account
from app.domain.accounts.tokens import digest
from app.domain.authorization import Identity
from app.storage import Database, Invitation, User, db_now, new_id, utc_now


class Mode(StrEnum):
    """Who may register; the command line makes accounts in each."""

    OPEN = "open"
    INVITED = "invited"
    CLOSED = "closed"


class Way(StrEnum):
    """How somebody asked for an account."""

    OPEN = "open"
    INVITATION = "invitation"
    FIRST = "first"  # by the link that is printed where there is no account yet


class Outcome(StrEnum):
    """What a registration came to."""

    CREATED = "created"
    TAKEN = "taken"  # there is an account of that address
    REFUSED = "refused"  # registration is closed, or the invitation is not good
    LIMITED = "limited"  # too many of one address, or in all


_INVITED_ONLY = (
    "Who is invited may register here; ask an operator of this VibeBox for an invitation or an "
    "account. They may open registration too, with VIBEBOX_REGISTRATION."
)


class Registration:
    """Makes accounts of who may have one."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        mode: Mode,
        check_room: Callable[[Session], None],
        reserved: str | None = None,
    ) -> None:
        """`check_room` raises LimitReachedError where there may be no more accounts.

        `reserved` is the address of the synthetic user, whose first round makes its account: who
        had it before would keep all rounds from being made.
        """
        self._database = database
        self._passwords = passwords
        self._check_room = check_room
        self._reserved = reserved and reserved.lower()
        self.mode = mode

    def register(self, email: str, password: str, invitation: str | None = None) -> Account:
        """Create an account; an invitation is used up by that.

        Raises: RegistrationClosedError, InvitationInvalidError, EmailTakenError,
        LimitReachedError, TooManyAttemptsError.
        """
        way = self._way(email, invitation)
        if email.lower() == self._reserved:
            _tell(way, Outcome.TAKEN)
            raise EmailTakenError
        try:
            hashed = self._passwords.hash(password)
            with self._database.writing() as session:
                operator = invitation is not None and self._use(session, email, invitation)
                self._check_room(session)
                user = add_account(session, email, hashed, operator=operator)
                if invitation is not None:
                    made = update(Invitation).where(Invitation.digest == digest(invitation))
                    session.execute(made.values(used_by=user.id))
                target = audit.Target("account", user.id, user.email)
                actor = Identity(user.id, user.email)
                audit.record(session, actor, "account.register", target, way=way)
        except IntegrityError as error:
            _tell(way, Outcome.TAKEN)
            raise EmailTakenError from error
        except InvitationInvalidError:
            _tell(way, Outcome.REFUSED)
            raise
        except (LimitReachedError, TooManyAttemptsError):
            _tell(way, Outcome.LIMITED)
            raise
        _tell(way, Outcome.CREATED)
        return Account(user.id, user.email, user.created_at)

    def refuse_closed(self) -> None:
        """Raise RegistrationClosedError where nobody may register without an invitation."""
        if self.mode is not Mode.OPEN:
            _tell(Way.OPEN, Outcome.REFUSED)
            invited = self.mode is Mode.INVITED
            raise RegistrationClosedError(_INVITED_ONLY if invited else None)

    def _way(self, email: str, invitation: str | None) -> Way:
        """Return how it is asked for, if it may be, before a password is hashed."""
        if invitation is None:
            self.refuse_closed()
            return Way.OPEN
        query = select(Invitation.id).where(self._good(email, invitation))
        with self._database.reading() as session:
            found = session.scalar(query)
        if found is None:
            _tell(Way.INVITATION, Outcome.REFUSED)
            raise InvitationInvalidError
        return Way.FIRST if found == FIRST else Way.INVITATION

    def _use(self, session: Session, email: str, invitation: str) -> bool:
        """Use up an invitation, and tell whether it makes an operator; of two at once, one does."""
        used = session.execute(
            update(Invitation)
            .where(self._good(email, invitation))
            .values(used_at=db_now())
            .returning(Invitation.operator)
        ).one_or_none()
        if used is None:
            raise InvitationInvalidError
        return bool(used.operator)

    def _good(self, email: str, invitation: str) -> ColumnElement[bool]:
        good = (Invitation.digest == digest(invitation)) & is_open()
        good &= or_(Invitation.email.is_(None), Invitation.email == email)
        if self.mode is Mode.CLOSED:
            # Of what operators have sent out nothing is good then.
            good &= Invitation.created_by.is_(None)
        return good


def add_account(
    session: Session, email: str, hashed: str, *, operator: bool, synthetic: bool = False
) -> User:
    """Write an account. Raises: IntegrityError where there is one of that address."""
    user = User(
        id=new_id(),
        email=email.lower(),
        password_hash=hashed,
        is_operator=operator,
        is_synthetic=synthetic,
        created_at=utc_now(),
    )
    session.add(user)
    session.flush()
    return user


def _tell(way: Way, outcome: Outcome) -> None:
    signals.emit(signals.registration, way=way.value, outcome=outcome.value)
