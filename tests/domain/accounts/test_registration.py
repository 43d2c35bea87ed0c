"""Who may make an account in which mode, invitations, and the first account, on both databases."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.core.errors import (
    EmailTakenError,
    InvalidInputError,
    InvitationInvalidError,
    InvitationNotFoundError,
    LimitReachedError,
    PermissionDeniedError,
    RegistrationClosedError,
    VibeBoxError,
)
from app.domain.accounts import first_account
from app.domain.accounts.administration import Administration
from app.domain.accounts.invitations import FIRST, Invitations, make
from app.domain.accounts.operators import operators
from app.domain.accounts.registration import Mode, Registration
from app.domain.accounts.service import Accounts
from app.domain.authorization import Identity
from app.domain.quotas.checks import Checks, Limits
from app.storage import Database, Invitation, User, now, utc_now
from tests.domain.accounts.conftest import CHEAP, EMAIL, ROOM
from tests.support.checks import PASSWORD

BOB, EVE = "bob@example.org", "eve@example.org"


@pytest.fixture
def registration(database: Database) -> Callable[[Mode], Registration]:
    return lambda mode: Registration(database, CHEAP, mode, ROOM)


@pytest.fixture
def operator(accounts: Accounts, database: Database) -> Identity:
    with database.writing() as session:
        session.execute(update(User).values(is_operator=True))
    return accounts.authenticate(accounts.login(EMAIL, PASSWORD).access_token)


def invite(database: Database, operator: Identity, email: str | None = None) -> str:
    return Invitations(database, closed=False).create(operator, email, None).token


def emails(database: Database) -> set[str]:
    with database.reading() as session:
        return set(session.scalars(select(User.email)))


def refused(call: Callable[[], object], *errors: type[VibeBoxError]) -> bool:
    try:
        call()
    except errors:
        return True
    return False


def test_anybody_registers_where_it_is_open(
    registration: Callable[[Mode], Registration], database: Database
) -> None:
    assert registration(Mode.OPEN).register(BOB, PASSWORD).email == BOB
    with pytest.raises(EmailTakenError):
        registration(Mode.OPEN).register(BOB.upper(), PASSWORD)
    assert operators(database) == []


def test_there_are_no_more_accounts_than_the_host_may_have(
    accounts: Accounts, database: Database, operator: Identity
) -> None:
    full = Checks(Limits(1, 1, 1), Limits(1, 1, 1), teams=1, accounts=1).check_account
    token = invite(database, operator)
    with pytest.raises(LimitReachedError, match="VIBEBOX_HOST_ACCOUNTS"):
        Registration(database, CHEAP, Mode.INVITED, full).register(BOB, PASSWORD, token)
    with pytest.raises(LimitReachedError):
        Administration(database, CHEAP, full).create(BOB, PASSWORD, operator=False)
    assert emails(database) == {EMAIL}
    # What was refused has used up nothing.
    Registration(database, CHEAP, Mode.INVITED, ROOM).register(BOB, PASSWORD, token)


@pytest.mark.parametrize("mode", [Mode.INVITED, Mode.CLOSED])
def test_nobody_registers_by_themselves_elsewhere(
    registration: Callable[[Mode], Registration], database: Database, mode: Mode
) -> None:
    with pytest.raises(RegistrationClosedError, match="VIBEBOX_REGISTRATION"):
        registration(mode).register(BOB, PASSWORD)
    with pytest.raises(InvitationInvalidError):
        registration(mode).register(BOB, PASSWORD, "vbx_in_guessed")
    assert emails(database) == set()


@pytest.mark.parametrize("mode", [Mode.OPEN, Mode.INVITED])
def test_invitation_makes_one_account(
    registration: Callable[[Mode], Registration],
    database: Database,
    operator: Identity,
    mode: Mode,
) -> None:
    token = invite(database, operator)
    with pytest.raises(EmailTakenError):
        registration(mode).register(EMAIL, PASSWORD, token)
    registration(mode).register(BOB, PASSWORD, token)
    with pytest.raises(InvitationInvalidError):
        registration(mode).register(EVE, PASSWORD, token)

    (row,) = Invitations(database, closed=False).list(operator, limit=9, offset=0).items
    assert (row.state, row.created_by, row.used_by) == ("used", EMAIL, BOB)
    assert operators(database) == [EMAIL]


def test_of_many_with_one_invitation_one_gets_an_account(
    registration: Callable[[Mode], Registration], database: Database, operator: Identity
) -> None:
    token, start = invite(database, operator), threading.Barrier(4)

    def register(number: int) -> bool:
        start.wait(10)
        call = registration(Mode.INVITED).register
        return not refused(
            lambda: call(f"u{number}@example.org", PASSWORD, token), InvitationInvalidError
        )

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(register, range(4))) == 1
    assert len(emails(database)) == 2


def test_invitation_for_an_address_is_for_no_other(
    registration: Callable[[Mode], Registration], database: Database, operator: Identity
) -> None:
    token = invite(database, operator, BOB)
    with pytest.raises(InvitationInvalidError):
        registration(Mode.INVITED).register(EVE, PASSWORD, token)
    assert registration(Mode.INVITED).register(BOB.title(), PASSWORD, token).email == BOB


def test_invitation_ends(
    registration: Callable[[Mode], Registration], database: Database, operator: Identity
) -> None:
    invitations = Invitations(database, closed=False)
    revoked = invitations.create(operator, None, None)
    invitations.revoke(operator, revoked.id)
    with pytest.raises(InvitationNotFoundError):
        invitations.revoke(operator, revoked.id)
    expired = invite(database, operator)
    with database.writing() as session:
        old = {"expires_at": utc_now() - timedelta(seconds=1)}
        session.execute(update(Invitation).where(Invitation.revoked_at.is_(None)).values(old))

    for token in (revoked.token, expired):
        with pytest.raises(InvitationInvalidError):
            registration(Mode.INVITED).register(BOB, PASSWORD, token)
    states = {one.state for one in invitations.list(operator, limit=9, offset=0).items}
    assert states == {"revoked", "expired"}


@pytest.mark.parametrize("seconds", [-1, 91 * 86400])
def test_life_of_an_invitation_is_bounded(
    database: Database, operator: Identity, seconds: int
) -> None:
    with database.reading() as session:
        moment = now(session) + timedelta(seconds=seconds)
    with pytest.raises(InvalidInputError):
        Invitations(database, closed=False).create(operator, None, moment)


def test_invitations_are_for_operators_and_none_where_it_is_closed(
    registration: Callable[[Mode], Registration], database: Database, operator: Identity
) -> None:
    token = invite(database, operator)
    stranger = Identity("nobody", EVE, grant_id="x")
    with pytest.raises(PermissionDeniedError):
        Invitations(database, closed=False).create(stranger, None, None)
    with pytest.raises(RegistrationClosedError):
        Invitations(database, closed=True).create(operator, None, None)
    with pytest.raises(InvitationInvalidError):
        registration(Mode.CLOSED).register(BOB, PASSWORD, token)
    with database.writing() as session:
        own = make(session, None, operator=True)
    registration(Mode.CLOSED).register(BOB, PASSWORD, own.token)
    assert operators(database) == [EMAIL, BOB]


@pytest.mark.parametrize("way", ["disable", "delete"])
def test_invitations_end_with_the_account_that_made_them(
    registration: Callable[[Mode], Registration],
    database: Database,
    operator: Identity,
    way: str,
) -> None:
    token = invite(database, operator)
    administration = Administration(database, CHEAP, ROOM)
    administration.create(EVE, PASSWORD, operator=True)
    getattr(administration, way)(None, operator.user_id)
    for mode in (Mode.INVITED, Mode.CLOSED):
        with pytest.raises(InvitationInvalidError):
            registration(mode).register(BOB, PASSWORD, token)


def test_first_account_is_an_operators_and_its_link_works_once(
    registration: Callable[[Mode], Registration], database: Database
) -> None:
    found = first_account.offer(database)
    assert found.made is not None and found.made.path.startswith("/sign-in#invitation=vbx_in_")
    again = first_account.offer(database)
    assert again.made is None and again.made_before == found.made.expires_at

    registration(Mode.CLOSED).register(BOB, PASSWORD, found.made.token)
    assert operators(database) == [BOB]
    with pytest.raises(InvitationInvalidError):
        registration(Mode.CLOSED).register(EVE, PASSWORD, found.made.token)
    assert first_account.offer(database) == first_account.Found(accounts=True)


def test_link_for_the_first_account_is_void_once_there_is_one(
    registration: Callable[[Mode], Registration], database: Database
) -> None:
    found = first_account.offer(database)
    assert found.made is not None
    registration(Mode.OPEN).register(BOB, PASSWORD)

    with pytest.raises(InvitationInvalidError):
        registration(Mode.OPEN).register(EVE, PASSWORD, found.made.token)


def test_link_that_ran_out_is_replaced(
    registration: Callable[[Mode], Registration], database: Database
) -> None:
    found = first_account.offer(database)
    with database.writing() as session:
        session.execute(update(Invitation).values(expires_at=utc_now()))
    another = first_account.offer(database)

    assert found.made is not None and another.made is not None
    with pytest.raises(InvitationInvalidError):
        registration(Mode.CLOSED).register(BOB, PASSWORD, found.made.token)
    registration(Mode.CLOSED).register(BOB, PASSWORD, another.made.token)


def test_of_several_servers_that_start_at_once_one_makes_the_link(database: Database) -> None:
    start = threading.Barrier(3)

    def offer(_: int) -> bool:
        start.wait(10)
        return first_account.offer(database).made is not None

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(offer, range(3))) == [False, False, True]


def test_of_two_first_accounts_at_once_there_is_one_by_the_link(
    registration: Callable[[Mode], Registration], database: Database
) -> None:
    found, start = first_account.offer(database), threading.Barrier(3)
    assert found.made is not None
    token = found.made.token
    administration = Administration(database, CHEAP, ROOM)

    def by_link(email: str) -> bool:
        start.wait(10)
        call = registration(Mode.CLOSED).register
        return not refused(lambda: call(email, PASSWORD, token), InvitationInvalidError)

    def by_command() -> None:
        start.wait(10)
        administration.create("root@example.org", PASSWORD, operator=True)

    with ThreadPoolExecutor(3) as pool:
        made = pool.submit(by_command)
        linked = sum(pool.map(by_link, (BOB, EVE)))
        made.result(10)
    assert linked <= 1
    assert len(emails(database)) == 1 + linked
    with database.reading() as session:
        row = session.get_one(Invitation, FIRST)
    assert (row.used_at is not None, row.revoked_at is not None) == (linked == 1, linked == 0)
