"""What operators do to accounts, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from app.core.errors import (
    AccountDisabledError,
    AccountInUseError,
    InvalidCredentialsError,
    InvalidInputError,
    InvalidTokenError,
    LastOperatorError,
    PermissionDeniedError,
    UserNotFoundError,
    VibeBoxError,
)
from app.core.settings import Settings
from app.domain.accounts.administration import Administration
from app.domain.accounts.keys import ApiKeys
from app.domain.accounts.logins import Device
from app.domain.accounts.operators import set_operator
from app.domain.accounts.service import Accounts
from app.domain.authorization import Identity, Scope
from app.domain.projects.service import Projects
from app.domain.teams.build import build as build_teams
from app.storage import (
    AuditEntry,
    Database,
    Environment,
    LoginKind,
    Membership,
    Project,
    TeamRole,
    User,
)
from tests.domain.accounts.conftest import CHEAP, EMAIL, ROOM, sign_up
from tests.support.checks import PASSWORD

BOB = "bob@example.org"
OTHER = "another good password"


@pytest.fixture
def administration(database: Database) -> Administration:
    return Administration(database, CHEAP, ROOM)


@pytest.fixture
def ada(accounts: Accounts) -> Identity:
    return accounts.authenticate(accounts.login(EMAIL, PASSWORD).access_token)


@pytest.fixture
def bob(accounts: Accounts, database: Database) -> Identity:
    sign_up(database, BOB)
    return accounts.authenticate(accounts.login(BOB, PASSWORD).access_token)


def put_environment(database: Database, owner: Identity, project: str, name: str) -> None:
    made = Projects(database).create(owner, project)
    with database.writing() as session:
        session.add(
            Environment(
                project_id=made.id, name=name, image="busybox", cpu_limit=1, memory_limit_mb=64
            )
        )


def audited(database: Database) -> list[str]:
    """Return what was done, without what was refused meanwhile."""
    done = AuditEntry.action.not_like("%refuse")
    with database.reading() as session:
        return list(session.scalars(select(AuditEntry.action).where(done).order_by(AuditEntry.id)))


def test_accounts_are_listed_in_pages_and_found(
    administration: Administration, database: Database, ada: Identity, bob: Identity
) -> None:
    put_environment(database, ada, "one", "api")
    set_operator(database, BOB, operator=True)

    page = administration.list(None, limit=1, offset=0)
    assert (page.total, [one.email for one in page.items]) == (2, [BOB])
    (found,) = administration.list(None, search="ADA@", limit=9, offset=0).items
    assert (found.email, found.environments, found.is_operator) == (EMAIL, 1, False)
    assert found.last_authenticated_at is not None and found.disabled_at is None
    assert administration.list(None, search="%", limit=9, offset=0).items == []


def test_only_operators_by_a_login_may(
    administration: Administration, database: Database, accounts: Accounts, bob: Identity
) -> None:
    with pytest.raises(PermissionDeniedError, match="Only operators"):
        administration.list(bob, limit=1, offset=0)
    set_operator(database, BOB, operator=True)
    bob = accounts.authenticate(accounts.login(BOB, PASSWORD).access_token)
    key = ApiKeys(database).create(bob, "all", set(Scope), None)
    with_key = accounts.authenticate(key.secret)

    assert administration.list(with_key, limit=1, offset=0).total == 2
    with pytest.raises(PermissionDeniedError, match="An API key may not"):
        administration.set_password(with_key, administration.id_of(EMAIL), OTHER)
    administration.set_password(bob, administration.id_of(EMAIL), OTHER)


def test_disabled_account_can_do_nothing_until_it_is_enabled(
    administration: Administration, accounts: Accounts, database: Database, ada: Identity
) -> None:
    key = ApiKeys(database).create(ada, "ci", {Scope.READ}, None).secret
    pair = accounts.login(EMAIL, PASSWORD)
    for _ in range(2):
        assert administration.disable(None, ada.user_id).disabled_at is not None

    for token in (pair.access_token, key):
        with pytest.raises(InvalidTokenError):
            accounts.authenticate(token)
    with pytest.raises(InvalidTokenError):
        accounts.refresh(pair.refresh_token)
    with pytest.raises(AccountDisabledError):
        accounts.login(EMAIL, PASSWORD)
    with pytest.raises(InvalidCredentialsError):
        accounts.login(EMAIL, "wrong")

    for _ in range(2):
        assert administration.enable(None, ada.user_id).disabled_at is None
    assert accounts.authenticate(key).user_id == ada.user_id
    with pytest.raises(InvalidTokenError):
        accounts.authenticate(pair.access_token)
    assert accounts.login(EMAIL, PASSWORD).access_token
    assert audited(database)[-3:] == ["account.disable", "account.enable", "account.login"]


def test_password_that_is_set_ends_all_logins(
    administration: Administration, accounts: Accounts, ada: Identity
) -> None:
    pair = accounts.login(EMAIL, PASSWORD)
    administration.set_password(None, ada.user_id, OTHER)

    with pytest.raises(InvalidTokenError):
        accounts.authenticate(pair.access_token)
    with pytest.raises(InvalidCredentialsError):
        accounts.login(EMAIL, PASSWORD)
    assert accounts.login(EMAIL, OTHER).access_token


def test_last_operator_stays(
    administration: Administration, database: Database, ada: Identity, bob: Identity
) -> None:
    set_operator(database, EMAIL, operator=True)
    for call in (administration.disable, administration.delete):
        with pytest.raises(LastOperatorError):
            call(None, ada.user_id)
    set_operator(database, BOB, operator=True)
    administration.disable(None, bob.user_id)
    with pytest.raises(LastOperatorError):
        administration.disable(None, ada.user_id)
    administration.enable(None, bob.user_id)
    administration.delete(None, ada.user_id)


def test_of_two_operators_who_disable_each_other_one_stays(
    administration: Administration, database: Database, ada: Identity, bob: Identity
) -> None:
    for email in (EMAIL, BOB):
        set_operator(database, email, operator=True)
    start = threading.Barrier(2)

    def disable(account_id: str) -> bool:
        start.wait(10)
        try:
            administration.disable(None, account_id)
        except LastOperatorError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(disable, (ada.user_id, bob.user_id))) == [False, True]


def test_account_is_deleted_with_what_is_its_own_alone(
    administration: Administration, accounts: Accounts, database: Database, ada: Identity
) -> None:
    Projects(database).create(ada, "empty")
    build_teams(Settings(), database).create(ada, "alone")
    administration.delete(None, ada.user_id)

    with database.reading() as session:
        assert session.scalars(select(User)).all() == []
        assert session.scalars(select(Project)).all() == []
        assert session.scalars(select(Membership)).all() == []
    with pytest.raises(InvalidCredentialsError):
        accounts.login(EMAIL, PASSWORD)
    with pytest.raises(UserNotFoundError):
        administration.delete(None, ada.user_id)
    assert audited(database)[-2:] == ["team.delete", "account.delete"]


def test_account_in_use_is_refused_and_what_is_in_the_way_named(
    administration: Administration, database: Database, ada: Identity, bob: Identity
) -> None:
    put_environment(database, ada, "one", "billing-api")
    team = build_teams(Settings(), database).create(ada, "core")
    build_teams(Settings(), database).put_member(ada, team.id, bob.user_id, TeamRole.DEVELOPER)
    shared = build_teams(Settings(), database).create(ada, "shared")
    build_teams(Settings(), database).put_member(ada, shared.id, bob.user_id, TeamRole.ADMIN)

    with pytest.raises(AccountInUseError) as caught:
        administration.delete(None, ada.user_id)
    assert "billing-api" in caught.value.detail and "teams (core)" in caught.value.detail
    assert administration.get(None, ada.user_id).email == EMAIL


def test_environments_and_teams_are_handed_over(
    administration: Administration, database: Database, ada: Identity, bob: Identity
) -> None:
    put_environment(database, bob, "personal", "mine")
    put_environment(database, ada, "personal", "hers")
    team = build_teams(Settings(), database).create(ada, "core")
    Projects(database).create(ada, "site", team.id)

    administration.delete(None, ada.user_id, bob.user_id)

    with database.reading() as session:
        owned = session.execute(
            select(Project.name, Environment.name)
            .join(Environment, Environment.project_id == Project.id)
            .where(Project.owner_user_id == bob.user_id)
            .order_by(Environment.name)
        ).all()
        assert [tuple(row) for row in owned] == [("personal-ada", "hers"), ("personal", "mine")]
        (member,) = session.scalars(select(Membership))
        assert (member.user_id, member.role) == (bob.user_id, TeamRole.ADMIN)


def test_nobody_gets_it_who_cannot(
    administration: Administration, database: Database, ada: Identity, bob: Identity
) -> None:
    put_environment(database, ada, "one", "api")
    wrong: list[tuple[str, type[VibeBoxError]]] = [
        (ada.user_id, InvalidInputError),
        ("nobody", UserNotFoundError),
        (bob.user_id, AccountDisabledError),
    ]
    administration.disable(None, bob.user_id)
    for heir, error in wrong:
        with pytest.raises(error):
            administration.delete(None, ada.user_id, heir)


def test_login_beside_a_disabling_does_not_survive_it(
    administration: Administration, accounts: Accounts, database: Database, ada: Identity
) -> None:
    """The password is verified before, and the login written after."""
    verified = accounts._verified(EMAIL, PASSWORD)
    administration.disable(None, ada.user_id)
    administration.enable(None, ada.user_id)
    administration.set_password(None, ada.user_id, OTHER)

    assert accounts._open(verified, PASSWORD, Device(), LoginKind.API) is None


def test_row_of_an_operator_who_is_disabled_does_not_count(
    administration: Administration, database: Database, ada: Identity, bob: Identity
) -> None:
    with database.writing() as session:
        session.execute(update(User).values(is_operator=True))
    administration.disable(None, bob.user_id)
    with pytest.raises(LastOperatorError):
        administration.delete(None, ada.user_id, bob.user_id)
