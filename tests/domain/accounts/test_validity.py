"""Which of the credentials that opened something are good no more, and why."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, event, update

from app.core.errors import InvalidTokenError
from app.domain.accounts.keys import ApiKeys
from app.domain.accounts.logins import end_login
from app.domain.accounts.service import Accounts
from app.domain.accounts.validity import Credential, ended
from app.domain.authorization import Identity, Scope
from app.storage import ApiKey, AuthToken, Database, EndReason, Login, User, utc_now
from tests.domain.accounts.conftest import EMAIL
from tests.support.checks import PASSWORD


@pytest.fixture
def login(accounts: Accounts) -> Identity:
    return accounts.authenticate(accounts.login(EMAIL, PASSWORD).access_token)


@pytest.fixture
def key(accounts: Accounts, login: Identity, database: Database) -> Identity:
    made = ApiKeys(database).create(login, "ci", {Scope.READ}, None)
    return accounts.authenticate(made.secret)


def reasons(database: Database, *identities: Identity) -> list[str | None]:
    credentials = [Credential.of(one) for one in identities]
    with database.reading() as session:
        found = ended(session, credentials)
    for error in found.values():
        assert isinstance(error, InvalidTokenError)
        assert len(error.detail.encode()) < 123, "it must fit into a close frame"
    return [found[one].reason if one in found else None for one in credentials]


def test_what_stands_is_not_named(database: Database, login: Identity, key: Identity) -> None:
    assert reasons(database, login, key) == [None, None]
    assert reasons(database) == []


def test_renewals_and_expired_access_tokens_end_nothing(
    accounts: Accounts, database: Database
) -> None:
    pair = accounts.login(EMAIL, PASSWORD)
    identity = accounts.authenticate(pair.access_token)
    for _ in range(3):
        pair = accounts.refresh(pair.refresh_token)
        with database.writing() as session:
            old = AuthToken.kind == "access"
            session.execute(update(AuthToken).where(old).values(expires_at=utc_now()))
        assert reasons(database, identity) == [None]
    with database.writing() as session:
        session.execute(delete(AuthToken))
    assert reasons(database, identity) == [None]


def test_logout_ends_the_login_and_no_other(
    accounts: Accounts, database: Database, login: Identity, key: Identity
) -> None:
    other = accounts.authenticate(accounts.login(EMAIL, PASSWORD).access_token)
    accounts.logout(login)

    assert reasons(database, login, other, key) == [EndReason.LOGOUT, None, None]


def test_reuse_ends_the_login(accounts: Accounts, database: Database) -> None:
    pair = accounts.login(EMAIL, PASSWORD)
    identity = accounts.authenticate(pair.access_token)
    accounts.refresh(pair.refresh_token)
    with pytest.raises(InvalidTokenError):
        accounts.refresh(pair.refresh_token)

    assert reasons(database, identity) == [EndReason.REUSE]


@pytest.mark.parametrize("reason", [EndReason.ENDED, EndReason.PASSWORD, EndReason.DISABLED])
def test_reason_is_that_of_the_row(database: Database, login: Identity, reason: EndReason) -> None:
    with database.writing() as session:
        assert end_login(session, str(login.grant_id), reason)
    with database.writing() as session:
        assert not end_login(session, str(login.grant_id), EndReason.LOGOUT)

    assert reasons(database, login) == [reason]


def test_unused_login_expires(database: Database, login: Identity, key: Identity) -> None:
    with database.writing() as session:
        session.execute(update(Login).values(expires_at=utc_now()))

    assert reasons(database, login, key) == [EndReason.EXPIRED, None]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda: update(ApiKey).values(revoked_at=utc_now()), EndReason.REVOKED),
        (lambda: update(ApiKey).values(expires_at=utc_now()), EndReason.EXPIRED),
        (lambda: update(ApiKey).values(expires_at=utc_now() + timedelta(1)), None),
        (lambda: delete(ApiKey), EndReason.REVOKED),
    ],
    ids=["revoked", "expired", "not yet", "its name given to another"],
)
def test_keys_end(
    database: Database,
    login: Identity,
    key: Identity,
    change: Callable[[], object],
    reason: EndReason | None,
) -> None:
    with database.writing() as session:
        session.execute(change())  # type: ignore[call-overload]

    assert reasons(database, login, key) == [None, reason]


def test_disabled_account_has_no_credential(
    database: Database, login: Identity, key: Identity
) -> None:
    with database.writing() as session:
        session.execute(update(User).values(disabled_at=utc_now()))
    assert reasons(database, login, key) == [EndReason.DISABLED] * 2

    with database.writing() as session:
        session.execute(update(User).values(disabled_at=None))
    assert reasons(database, login, key) == [None, None]


def test_deleted_account_has_no_credential(
    database: Database, login: Identity, key: Identity
) -> None:
    with database.writing() as session:
        session.execute(delete(User))

    assert reasons(database, login, key) == [EndReason.DELETED] * 2


def test_login_of_a_release_without_rows_ends_with_its_tokens(
    accounts: Accounts, database: Database, login: Identity
) -> None:
    with database.writing() as session:
        session.execute(delete(Login))
    assert reasons(database, login) == [None]

    with database.writing() as session:
        session.execute(update(AuthToken).values(revoked_at=utc_now()))
    assert reasons(database, login) == [EndReason.LOGOUT]


def test_renewal_writes_the_row_that_is_missing(accounts: Accounts, database: Database) -> None:
    pair = accounts.login(EMAIL, PASSWORD)
    identity = accounts.authenticate(pair.access_token)
    with database.writing() as session:
        session.execute(delete(Login))
    accounts.refresh(pair.refresh_token)

    with database.reading() as session:
        assert session.get_one(Login, identity.grant_id).kind == "api"


def test_one_statement_asks_for_all(
    accounts: Accounts, database: Database, login: Identity, key: Identity
) -> None:
    others = [accounts.authenticate(accounts.login(EMAIL, PASSWORD).access_token) for _ in range(5)]
    seen: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: seen.append(str(a[2])))

    assert reasons(database, login, key, *others) == [None] * 7
    assert len([one for one in seen if one.startswith("SELECT")]) == 1
