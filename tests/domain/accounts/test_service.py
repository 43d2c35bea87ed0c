"""Accounts: registration, logins, and the life of tokens."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from app.core import signals
from app.core.errors import EmailTakenError, InvalidCredentialsError, InvalidTokenError
from app.domain.accounts.passwords import Passwords
from app.domain.accounts.registration import Mode, Registration
from app.domain.accounts.service import Accounts, TokenPair
from app.domain.accounts.tokens import digest
from app.domain.authorization import Identity
from app.storage import AuthToken, Database, TokenKind, User, utc_now
from tests.support.checks import PASSWORD

EMAIL = "ada@example.org"
Attempts = list[tuple[str, bool]]


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(time_cost=1, memory_kib=8)


@pytest.fixture
def make_accounts(database: Database, passwords: Passwords) -> Callable[..., Accounts]:
    def make(access_ttl: int = 60, refresh_ttl: int = 600) -> Accounts:
        return Accounts(database, passwords, access_ttl=access_ttl, refresh_ttl=refresh_ttl)

    return make


@pytest.fixture
def register(database: Database, passwords: Passwords) -> Callable[[str], object]:
    registration = Registration(database, passwords, Mode.OPEN, lambda _session: None)
    return lambda email: registration.register(email, PASSWORD)


@pytest.fixture
def accounts(make_accounts: Callable[..., Accounts], register: Callable[[str], object]) -> Accounts:
    register(EMAIL)
    return make_accounts()


@pytest.fixture
def pair(accounts: Accounts) -> TokenPair:
    return accounts.login(EMAIL, PASSWORD)


@pytest.fixture
def attempts(pair: TokenPair) -> Iterator[Attempts]:
    """The authentications that were told since the login."""
    told: Attempts = []

    def receiver(_sender: Any, *, method: str, success: bool) -> None:
        told.append((method, success))

    with signals.authentication.connected_to(receiver):
        yield told


def expire(database: Database, kind: TokenKind) -> None:
    """Let the tokens of the kind have expired this moment."""
    with database.writing() as session:
        session.execute(
            update(AuthToken).where(AuthToken.kind == kind).values(expires_at=utc_now())
        )


def is_valid(accounts: Accounts, token: str) -> bool:
    try:
        accounts.authenticate(token)
    except InvalidTokenError:
        return False
    return True


def test_registered_account_can_log_in(accounts: Accounts, pair: TokenPair) -> None:
    identity = accounts.authenticate(pair.access_token)

    assert accounts.account(identity).email == EMAIL
    assert pair.expires_in == 60


def test_address_is_taken_once_in_any_case(
    accounts: Accounts, register: Callable[[str], object]
) -> None:
    with pytest.raises(EmailTakenError):
        register(EMAIL.upper())

    assert accounts.login(EMAIL.title(), PASSWORD).access_token


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "wrong"), (EMAIL, ""), ("eve@example.org", PASSWORD), (EMAIL, PASSWORD.upper())],
    ids=["password", "empty", "address", "case"],
)
def test_wrong_credentials_are_refused_alike(
    accounts: Accounts, attempts: Attempts, email: str, password: str
) -> None:
    with pytest.raises(InvalidCredentialsError) as caught:
        accounts.login(email, password)

    assert caught.value.detail == InvalidCredentialsError.default_detail
    assert attempts == [("password", False)]


def test_database_holds_neither_password_nor_token(
    accounts: Accounts, pair: TokenPair, database: Database
) -> None:
    with database.reading() as session:
        stored = {
            *session.scalars(select(AuthToken.digest)),
            *session.scalars(select(User.password_hash)),
        }

    assert {digest(pair.access_token), digest(pair.refresh_token)} < stored
    for secret in (PASSWORD, pair.access_token, pair.refresh_token):
        assert not any(secret in value for value in stored)


def test_tokens_bear_their_kind(pair: TokenPair) -> None:
    assert pair.access_token.startswith("vbx_at_")
    assert pair.refresh_token.startswith("vbx_rt_")
    assert len(pair.access_token) > 40


def test_refresh_gives_the_next_pair(accounts: Accounts, pair: TokenPair) -> None:
    following = accounts.refresh(pair.refresh_token)

    assert following.refresh_token != pair.refresh_token
    assert accounts.authenticate(following.access_token) == accounts.authenticate(pair.access_token)
    assert accounts.refresh(following.refresh_token).access_token


def test_refresh_token_used_again_revokes_the_grant(accounts: Accounts, pair: TokenPair) -> None:
    other = accounts.login(EMAIL, PASSWORD)
    following = accounts.refresh(pair.refresh_token)

    with pytest.raises(InvalidTokenError):
        accounts.refresh(pair.refresh_token)

    assert not is_valid(accounts, pair.access_token)
    assert not is_valid(accounts, following.access_token)
    with pytest.raises(InvalidTokenError):
        accounts.refresh(following.refresh_token)
    assert is_valid(accounts, other.access_token)


def test_of_many_refreshes_at_once_one_wins(accounts: Accounts, pair: TokenPair) -> None:
    start = threading.Barrier(4)

    def refresh(_: int) -> bool:
        start.wait(10)
        try:
            accounts.refresh(pair.refresh_token)
        except InvalidTokenError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(refresh, range(4)))

    assert sorted(won) == [False, False, False, True]
    assert not is_valid(accounts, pair.access_token)


@pytest.mark.parametrize("wrong", ["access", "unknown", "empty"])
def test_only_a_refresh_token_refreshes(accounts: Accounts, pair: TokenPair, wrong: str) -> None:
    token = {"access": pair.access_token, "unknown": "vbx_rt_x", "empty": ""}[wrong]

    with pytest.raises(InvalidTokenError):
        accounts.refresh(token)

    assert is_valid(accounts, pair.access_token)


def test_only_an_access_token_authenticates(accounts: Accounts, pair: TokenPair) -> None:
    assert not is_valid(accounts, pair.refresh_token)
    assert not is_valid(accounts, pair.access_token + "x")


def test_logout_revokes_every_token_of_its_login(accounts: Accounts, pair: TokenPair) -> None:
    other = accounts.login(EMAIL, PASSWORD)
    following = accounts.refresh(pair.refresh_token)
    identity = accounts.authenticate(pair.access_token)

    accounts.logout(identity)
    accounts.logout(identity)

    assert not is_valid(accounts, pair.access_token)
    assert not is_valid(accounts, following.access_token)
    with pytest.raises(InvalidTokenError):
        accounts.refresh(following.refresh_token)
    assert is_valid(accounts, other.access_token)


def test_expired_access_token_is_invalid_and_can_be_refreshed(
    accounts: Accounts, pair: TokenPair, database: Database
) -> None:
    expire(database, TokenKind.ACCESS)

    assert not is_valid(accounts, pair.access_token)
    assert is_valid(accounts, accounts.refresh(pair.refresh_token).access_token)


def test_expired_refresh_token_is_invalid_and_revokes_nothing(
    accounts: Accounts, pair: TokenPair, database: Database
) -> None:
    expire(database, TokenKind.REFRESH)

    with pytest.raises(InvalidTokenError):
        accounts.refresh(pair.refresh_token)

    assert is_valid(accounts, pair.access_token)


def test_lives_are_the_settings(
    make_accounts: Callable[..., Accounts],
    register: Callable[[str], object],
    database: Database,
) -> None:
    accounts = make_accounts(access_ttl=7, refresh_ttl=70)
    register(EMAIL)
    assert accounts.login(EMAIL, PASSWORD).expires_in == 7

    with database.reading() as session:
        tokens = session.scalars(select(AuthToken))
        lives = {token.kind: token.expires_at - token.created_at for token in tokens}

    assert lives == {
        TokenKind.ACCESS: timedelta(seconds=7),
        TokenKind.REFRESH: timedelta(seconds=70),
    }


def test_login_forgets_expired_tokens(
    accounts: Accounts, pair: TokenPair, database: Database
) -> None:
    expire(database, TokenKind.ACCESS)
    accounts.login(EMAIL, PASSWORD)

    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(AuthToken)) == 3


def test_login_renews_a_hash_made_at_other_costs(accounts: Accounts, database: Database) -> None:
    costly = Passwords(time_cost=2, memory_kib=16)
    Accounts(database, costly, access_ttl=1, refresh_ttl=1).login(EMAIL, PASSWORD)

    with database.reading() as session:
        renewed = session.scalar(select(User.password_hash)) or ""
    assert not costly.outdated(renewed)
    assert costly.verify(renewed, PASSWORD)


def test_account_that_is_gone_is_not_logged_in(accounts: Accounts) -> None:
    with pytest.raises(InvalidTokenError):
        accounts.account(Identity("nobody", "nobody@example.org"))


def test_each_authentication_is_told(
    accounts: Accounts, pair: TokenPair, attempts: Attempts
) -> None:
    accounts.login(EMAIL, PASSWORD)
    accounts.authenticate(pair.access_token)
    assert not is_valid(accounts, "vbx_at_x")
    accounts.refresh(pair.refresh_token)
    with pytest.raises(InvalidTokenError):
        accounts.refresh("vbx_rt_x")

    assert attempts == [
        ("password", True),
        ("token", True),
        ("token", False),
        ("refresh", True),
        ("refresh", False),
    ]


@pytest.mark.parametrize("hashed", [None, "", "no hash", "$argon2id$v=19$broken"])
def test_password_never_fits_what_is_no_hash(passwords: Passwords, hashed: str | None) -> None:
    assert not passwords.verify(hashed, "no account has this password")


def test_hashes_are_salted(passwords: Passwords) -> None:
    one, two = passwords.hash(PASSWORD), passwords.hash(PASSWORD)

    assert one != two and one.startswith("$argon2id$")
    assert passwords.verify(one, PASSWORD) and passwords.verify(two, PASSWORD)
