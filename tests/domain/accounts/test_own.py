"""One's own logins and password, on both databases."""

import pytest
from sqlalchemy import update

from app.core.errors import (
    InvalidCredentialsError,
    InvalidInputError,
    InvalidTokenError,
    LoginNotFoundError,
    PermissionDeniedError,
)
from app.domain.accounts.logins import Device
from app.domain.accounts.own import Own
from app.domain.accounts.service import Accounts, TokenPair
from app.domain.authorization import Identity
from app.storage import Database, Login, utc_now
from tests.domain.accounts.conftest import CHEAP, EMAIL, sign_up
from tests.support.checks import PASSWORD

OTHER = "another good password"


@pytest.fixture
def own(database: Database) -> Own:
    return Own(database, CHEAP)


def identity(accounts: Accounts, pair: TokenPair) -> Identity:
    return accounts.authenticate(pair.access_token)


def is_good(accounts: Accounts, pair: TokenPair) -> bool:
    try:
        accounts.authenticate(pair.access_token)
        accounts.refresh(pair.refresh_token)
    except InvalidTokenError:
        return False
    return True


def test_logins_are_listed_with_where_they_are_used(own: Own, accounts: Accounts) -> None:
    first = accounts.login(EMAIL, PASSWORD, Device("192.0.2.1", "curl/8\x00\x1b[2J" + "x" * 999))
    me = identity(accounts, accounts.login(EMAIL, PASSWORD, Device("192.0.2.2"), console=True))
    accounts.refresh(first.refresh_token, Device("192.0.2.3", "curl/9"))

    page = own.list_logins(me, limit=9, offset=0)
    assert page.total == 2
    assert [(one.kind, one.address, one.user_agent, one.current) for one in page.items] == [
        ("api", "192.0.2.3", "curl/9", False),
        ("console", "192.0.2.2", None, True),
    ]
    assert own.list_logins(me, limit=1, offset=1).items[0].current


def test_user_agent_is_short_and_can_be_shown(own: Own, accounts: Accounts) -> None:
    agent = "curl/8\x00\x1b[2J" + "x" * 999
    me = identity(accounts, accounts.login(EMAIL, PASSWORD, Device("1" * 99, agent)))

    (found,) = own.list_logins(me, limit=9, offset=0).items
    assert found.user_agent == ("curl/8[2J" + "x" * 999)[:200]
    assert found.address == "1" * 64


def test_login_is_ended_from_the_list(own: Own, accounts: Accounts, database: Database) -> None:
    sign_up(database, "eve@example.org")
    eve = accounts.login("eve@example.org", PASSWORD)
    other, mine = (accounts.login(EMAIL, PASSWORD) for _ in range(2))
    me = identity(accounts, mine)
    stranger = identity(accounts, eve)
    ended = identity(accounts, other).grant_id
    assert ended is not None

    with pytest.raises(LoginNotFoundError):
        own.end_login(stranger, ended)
    own.end_login(me, ended)
    with pytest.raises(LoginNotFoundError):
        own.end_login(me, ended)
    assert [is_good(accounts, one) for one in (other, mine, eve)] == [False, True, True]
    with database.reading() as session:
        assert session.get_one(Login, ended).end_reason == "ended"


def test_other_logins_are_ended_at_once(own: Own, accounts: Accounts) -> None:
    others = [accounts.login(EMAIL, PASSWORD) for _ in range(3)]
    mine = accounts.login(EMAIL, PASSWORD)
    own.end_other_logins(identity(accounts, mine))

    assert [is_good(accounts, one) for one in (*others, mine)] == [False, False, False, True]


def test_expired_logins_are_not_shown(own: Own, accounts: Accounts, database: Database) -> None:
    me = identity(accounts, accounts.login(EMAIL, PASSWORD))
    with database.writing() as session:
        session.execute(update(Login).values(expires_at=utc_now()))

    assert own.list_logins(me, limit=9, offset=0).items == []


def test_changed_password_ends_the_other_logins(own: Own, accounts: Accounts) -> None:
    other, mine = (accounts.login(EMAIL, PASSWORD) for _ in range(2))
    me = identity(accounts, mine)
    with pytest.raises(InvalidInputError) as caught:
        own.change_password(me, "wrong", OTHER)
    assert [one["field"] for one in caught.value.errors] == ["old_password"]
    assert is_good(accounts, accounts.login(EMAIL, PASSWORD))

    own.change_password(me, PASSWORD, OTHER)
    assert [is_good(accounts, one) for one in (other, mine)] == [False, True]
    with pytest.raises(InvalidCredentialsError):
        accounts.login(EMAIL, PASSWORD)
    assert accounts.login(EMAIL, OTHER).access_token


def test_api_key_may_none_of_it(own: Own, accounts: Accounts) -> None:
    me = identity(accounts, accounts.login(EMAIL, PASSWORD))
    key = Identity(me.user_id, me.email, api_key_id="x")
    for call in (
        lambda: own.list_logins(key, limit=1, offset=0),
        lambda: own.end_other_logins(key),
        lambda: own.end_login(key, "x"),
        lambda: own.change_password(key, PASSWORD, OTHER),
    ):
        with pytest.raises(PermissionDeniedError):
            call()


def test_login_used_longest_ago_makes_room(
    own: Own, accounts: Accounts, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.domain.accounts.logins.MOST", 3)
    pairs = [accounts.login(EMAIL, PASSWORD) for _ in range(3)]
    accounts.refresh(pairs[0].refresh_token)
    me = identity(accounts, accounts.login(EMAIL, PASSWORD))

    assert own.list_logins(me, limit=9, offset=0).total == 3
    with pytest.raises(InvalidTokenError):
        accounts.authenticate(pairs[1].access_token)
    assert accounts.authenticate(pairs[0].access_token).user_id == me.user_id
