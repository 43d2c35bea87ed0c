"""Tickets: whose each is, and for how long and how often it is good."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.core.errors import InvalidTokenError, Limit, LimitReachedError
from app.domain.accounts.keys import ApiKeys
from app.domain.accounts.service import Accounts
from app.domain.accounts.socket_tickets import LIFE, Tickets
from app.domain.authorization import Identity, Scope
from app.domain.quotas import row_limits
from app.storage import Database, SocketTicket, User, utc_now
from tests.domain.accounts.conftest import EMAIL
from tests.support.checks import PASSWORD


@pytest.fixture
def tickets(database: Database) -> Tickets:
    return Tickets(database)


@pytest.fixture
def login(accounts: Accounts) -> Identity:
    return accounts.authenticate(accounts.login(EMAIL, PASSWORD).access_token)


@pytest.fixture
def key(accounts: Accounts, login: Identity, database: Database) -> Identity:
    made = ApiKeys(database).create(login, "ci", {Scope.READ}, None)
    return accounts.authenticate(made.secret)


def stored(database: Database) -> list[SocketTicket]:
    with database.reading() as session:
        return list(session.scalars(select(SocketTicket)))


def test_ticket_is_its_makers_once(tickets: Tickets, login: Identity, key: Identity) -> None:
    for identity in (login, key):
        made = tickets.issue(identity)
        assert made.ticket.startswith("vbx_ws_") and made.expires_in == 30
        assert tickets.redeem(made.ticket) == identity
        with pytest.raises(InvalidTokenError):
            tickets.redeem(made.ticket)


def test_of_many_that_use_a_ticket_at_once_one_succeeds(tickets: Tickets, login: Identity) -> None:
    ticket, start = tickets.issue(login).ticket, threading.Barrier(8)

    def redeem(_number: int) -> bool:
        start.wait(10)
        try:
            return bool(tickets.redeem(ticket).user_id)
        except InvalidTokenError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(redeem, range(8))) == 1


def test_ticket_is_stored_as_a_digest(
    tickets: Tickets, login: Identity, database: Database
) -> None:
    ticket = tickets.issue(login).ticket
    (row,) = stored(database)

    assert ticket not in str(vars(row))
    assert row.expires_at - row.created_at == LIFE


def test_ticket_that_is_over_is_good_for_nothing_and_goes(
    tickets: Tickets, login: Identity, database: Database
) -> None:
    ticket = tickets.issue(login).ticket
    with database.writing() as session:
        session.execute(update(SocketTicket).values(expires_at=utc_now() - timedelta(seconds=1)))

    with pytest.raises(InvalidTokenError):
        tickets.redeem(ticket)
    assert len(stored(database)) == 1
    tickets.issue(login)
    assert len(stored(database)) == 1


def test_ticket_ends_with_its_credential(
    tickets: Tickets, accounts: Accounts, login: Identity, key: Identity, database: Database
) -> None:
    of_login, of_key = tickets.issue(login).ticket, tickets.issue(key).ticket
    accounts.logout(login)
    with pytest.raises(InvalidTokenError):
        tickets.redeem(of_login)

    with database.writing() as session:
        session.execute(update(User).values(disabled_at=utc_now()))
    with pytest.raises(InvalidTokenError):
        tickets.redeem(of_key)
    assert stored(database) == []  # one that was refused is used up all the same


def test_only_so_many_are_good_at_a_time(
    tickets: Tickets, login: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(row_limits.MOST, Limit.TICKETS, 2)
    first = tickets.issue(login).ticket
    tickets.issue(login)
    with pytest.raises(LimitReachedError):
        tickets.issue(login)
    tickets.redeem(first)
    tickets.issue(login)
