"""What ends an access, each in its way; what does not; and what it costs to look."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import delete, event, update

from app.core.errors import (
    CredentialEndedError,
    EnvironmentNotFoundError,
    PermissionDeniedError,
    VibeBoxError,
)
from app.domain.authorization import Access, Action, Identity
from app.storage import ApiKey, AuthToken, Environment, utc_now
from app.storage import User as UserRow
from app.web.admission.watch import AccessLooks
from tests.support.application import User, parts
from tests.web.admission.conftest import Team


class Watch:
    """Opens accesses of whoever sends requests, and looks."""

    def __init__(self, app: OpenAPI) -> None:
        self.database = parts(app).database
        self.accounts = parts(app).accounts
        self.looks = AccessLooks(self.database)

    def identity(self, user: User) -> Identity:
        return self.accounts.authenticate(user.tokens["access_token"])

    def access(self, user: User, environment: str | None, action: Action) -> Access:
        return Access(self.identity(user), action, environment)

    def refused(self, *accesses: Access) -> dict[Access, VibeBoxError]:
        return dict(self.looks.look(accesses).refused)


@pytest.fixture
def watch(app: OpenAPI) -> Watch:
    return Watch(app)


def key_of(user: User, *scopes: str) -> tuple[User, str]:
    """Return who uses a new key, and its id."""
    made = user.make("/api/v1/api-keys", name="ci", scopes=list(scopes))
    return User(user.client, user.email, {"access_token": made["key"]}), made["id"]


def logout(watch: Watch, team: Team) -> None:
    assert team.developer.post("/api/v1/auth/logout").status_code == 204


def reuse(watch: Watch, team: Team) -> None:
    old = {"refresh_token": team.developer.tokens["refresh_token"]}
    assert team.developer.post("/api/v1/auth/refresh", json=old).status_code == 200
    assert team.developer.post("/api/v1/auth/refresh", json=old).status_code == 401


def forget_account(watch: Watch, team: Team) -> None:
    email = team.developer.email
    with watch.database.writing() as session:
        session.execute(delete(UserRow).where(UserRow.email == email))


def lower(watch: Watch, team: Team) -> None:
    team.put("viewer")


def remove(watch: Watch, team: Team) -> None:
    team.remove()


def leave(watch: Watch, team: Team) -> None:
    developer = team.developer
    path = f"/api/v1/teams/{team.id}/members/{developer.id}"
    assert developer.send("DELETE", path).status_code == 204


def forget_environment(watch: Watch, team: Team) -> None:
    with watch.database.writing() as session:
        session.execute(delete(Environment))


WAYS: dict[Callable[[Watch, Team], None], type[VibeBoxError]] = {
    logout: CredentialEndedError,
    reuse: CredentialEndedError,
    forget_account: CredentialEndedError,
    lower: PermissionDeniedError,
    remove: EnvironmentNotFoundError,
    leave: EnvironmentNotFoundError,
    forget_environment: EnvironmentNotFoundError,
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_way_of_a_login(watch: Watch, team: Team, way: Callable[[Watch, Team], None]) -> None:
    mine = watch.access(team.developer, team.environment, Action.SESSION_USE)
    others = watch.access(team.admin, team.environment, Action.SESSION_USE)
    assert watch.refused(mine, others) == {}

    way(watch, team)

    refused = watch.refused(mine, others)
    assert type(refused.pop(mine)) is WAYS[way]
    assert list(refused) == ([others] if way is forget_environment else [])


def test_only_what_needs_the_role_ends_with_it(watch: Watch, team: Team) -> None:
    reads = watch.access(team.developer, team.environment, Action.ENVIRONMENT_READ)
    types = watch.access(team.developer, team.environment, Action.SESSION_USE)
    lists = watch.access(team.developer, None, Action.ENVIRONMENT_READ)
    team.put("viewer")
    assert set(watch.refused(reads, types, lists)) == {types}


def test_key(watch: Watch, team: Team) -> None:
    key, id = key_of(team.developer, "read", "execute")
    by_key = watch.access(key, team.environment, Action.SESSION_USE)
    by_login = watch.access(team.developer, team.environment, Action.SESSION_USE)
    listed = watch.access(key, None, Action.ENVIRONMENT_READ)
    everything = by_key, by_login, listed
    assert watch.refused(*everything) == {}

    def change(**values: object) -> dict[Access, type[VibeBoxError]]:
        with watch.database.writing() as session:
            session.execute(update(ApiKey).where(ApiKey.id == id).values(**values))
        return {access: type(error) for access, error in watch.refused(*everything).items()}

    assert change(scopes=["read"]) == {by_key: PermissionDeniedError}
    assert change(scopes=["execute", "nonsense"]) == {listed: PermissionDeniedError}
    assert change(scopes=["read", "execute"]) == {}
    assert change(expires_at=utc_now() + timedelta(hours=1)) == {}
    ended = {by_key: CredentialEndedError, listed: CredentialEndedError}
    assert change(expires_at=utc_now() - timedelta(seconds=1)) == ended
    assert change(expires_at=None) == {}
    assert team.developer.send("DELETE", f"/api/v1/api-keys/{id}").status_code == 204
    assert set(watch.refused(*everything)) == {by_key, listed}


def test_tokens_come_and_go_and_end_nothing(watch: Watch, team: Team) -> None:
    access = watch.access(team.developer, team.environment, Action.SESSION_USE)
    for _ in range(3):
        refresh = {"refresh_token": team.developer.tokens["refresh_token"]}
        answer = team.developer.post("/api/v1/auth/refresh", json=refresh)
        team.developer.tokens = answer.get_json()
        with watch.database.writing() as session:  # the access tokens run out
            session.execute(
                update(AuthToken)
                .where(AuthToken.kind == "access")
                .values(expires_at=utc_now() - timedelta(seconds=1))
            )
        assert watch.refused(access) == {}


def test_other_logins_and_keys_of_the_account_go_on(
    watch: Watch, team: Team, make_user: Callable[..., User]
) -> None:
    credentials = {"email": team.developer.email, "password": "correct horse battery"}
    answer = team.developer.client.post("/api/v1/auth/login", json=credentials)
    second = User(team.developer.client, team.developer.email, answer.get_json())
    key, _ = key_of(team.developer, "read")
    first, other, by_key = (
        watch.access(one, team.environment, Action.ENVIRONMENT_READ)
        for one in (team.developer, second, key)
    )
    assert team.developer.post("/api/v1/auth/logout").status_code == 204
    assert set(watch.refused(first, other, by_key)) == {first}


def test_a_look_costs_as_much_for_many_as_for_one(watch: Watch, team: Team) -> None:
    key, _ = key_of(team.developer, "read")
    few = [watch.access(team.developer, team.environment, Action.ENVIRONMENT_READ)]
    many = [
        *few,
        watch.access(key, team.environment, Action.ENVIRONMENT_READ),
        *(watch.access(team.admin, one, Action.SESSION_USE) for one in [team.environment, None]),
        *(watch.access(team.admin, str(number), Action.SESSION_USE) for number in range(200)),
    ]
    statements: list[str] = []
    engine = watch.database.engine

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        watch.refused(*few)
        alone = len(statements)
        statements.clear()
        assert len(watch.refused(*many)) == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(statements) <= alone + 1 <= 5, statements  # one more, for the scopes of keys
