"""Every route in every role, through the API: the table below is the promise, not the code's own.

A route that is not in the table fails the test: whoever adds one says here who may call it.
"""

from collections.abc import Callable, Iterator
from itertools import count, product
from typing import Any

import pytest
from flask_openapi3 import OpenAPI

from app.core.errors import VibeBoxError
from app.domain.accounts.operators import set_operator
from app.domain.authorization import (
    RULES,
    Access,
    Action,
    Identity,
    Role,
    Scope,
    decide,
    environment_for,
    may_in,
    permissions_table,
    refusals,
)
from app.storage import (
    Alert,
    EnvironmentSession,
    Extension,
    SessionStatus,
    SessionType,
    new_id,
    utc_now,
)
from tests.backends.code_server import package
from tests.support.application import User, parts
from tests.support.checks import ORIGIN, PASSWORD
from tests.support.fakes import IMAGE
from tests.support.routes import EVERYWHERE, Route

# own: owner of a project, asking for that one. All others ask for a team's project, or for the
# team: adm, dev, vie: its members; str: somebody else; ano: nobody; r, w, x: API keys of the admin
# with one scope each; op: an operator of the service who is in no team.
# The console's pages are shells that hold nothing of anybody's, and its tokens are for the cookie
# of a login, whatever bearer token comes along.
# Alerts are told by Alertmanager, with a token that is not set here.
# yes: the answer is none of 401, 403 and 404 (it may be a conflict).
TABLE = """
                                                   own adm dev vie str ano  r   w   x  op
GET    /health                                     yes yes yes yes yes yes yes yes yes yes
GET    /health/live                                yes yes yes yes yes yes yes yes yes yes
GET    /health/ready                               yes yes yes yes yes yes yes yes yes yes
GET    /health/metrics                             yes yes yes yes yes yes yes yes yes yes
GET    /api/v1/auth/registration                   yes yes yes yes yes yes yes yes yes yes
POST   /api/v1/auth/register                       yes yes yes yes yes yes yes yes yes yes
POST   /api/v1/auth/login                          yes yes yes yes yes yes yes yes yes yes
POST   /api/v1/auth/refresh                        yes yes yes yes yes yes yes yes yes yes
POST   /api/v1/auth/logout                         yes yes yes yes yes 401 403 403 403 yes
GET    /api/v1/auth/me                             yes yes yes yes yes 401 yes yes yes yes
POST   /api/v1/auth/password                       yes yes yes yes yes 401 403 403 403 yes
GET    /api/v1/auth/logins                         yes yes yes yes yes 401 403 403 403 yes
DELETE /api/v1/auth/logins                         yes yes yes yes yes 401 403 403 403 yes
DELETE /api/v1/auth/logins/<login_id>              404 yes 404 404 404 401 403 403 403 404
GET    /api/v1/accounts                            403 403 403 403 403 401 403 403 403 yes
GET    /api/v1/accounts/<account_id>               403 403 403 403 403 401 403 403 403 yes
POST   /api/v1/accounts/<account_id>/disable       403 403 403 403 403 401 403 403 403 yes
POST   /api/v1/accounts/<account_id>/enable        403 403 403 403 403 401 403 403 403 yes
PUT    /api/v1/accounts/<account_id>/password      403 403 403 403 403 401 403 403 403 yes
DELETE /api/v1/accounts/<account_id>               403 403 403 403 403 401 403 403 403 yes
POST   /api/v1/invitations                         403 403 403 403 403 401 403 403 403 yes
GET    /api/v1/invitations                         403 403 403 403 403 401 403 403 403 yes
DELETE /api/v1/invitations/<invitation_id>         403 403 403 403 403 401 403 403 403 yes
POST   /api/v1/api-keys                            yes yes yes yes yes 401 403 403 403 yes
GET    /api/v1/api-keys                            yes yes yes yes yes 401 yes 403 403 yes
DELETE /api/v1/api-keys/<api_key_id>               404 yes 404 404 404 401 403 403 403 404
POST   /api/v1/teams                               yes yes yes yes yes 401 403 yes 403 yes
GET    /api/v1/teams                               yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/teams/<team_id>                     404 yes yes yes 404 401 yes 403 403 404
PATCH  /api/v1/teams/<team_id>                     404 yes 403 403 404 401 403 yes 403 404
DELETE /api/v1/teams/<team_id>                     404 yes 403 403 404 401 403 yes 403 404
GET    /api/v1/teams/<team_id>/members             404 yes yes yes 404 401 yes 403 403 404
POST   /api/v1/teams/<team_id>/members             404 yes 403 403 404 401 403 yes 403 404
PUT    /api/v1/teams/<team_id>/members/<user_id>   404 yes 403 403 404 401 403 yes 403 404
DELETE /api/v1/teams/<team_id>/members/<user_id>   404 yes 403 403 404 401 403 yes 403 404
POST   /api/v1/projects                            yes yes 403 403 404 401 403 yes 403 404
GET    /api/v1/projects                            yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/projects/<project_id>               yes yes yes yes 404 401 yes 403 403 404
PATCH  /api/v1/projects/<project_id>               yes yes 403 403 404 401 403 yes 403 404
DELETE /api/v1/projects/<project_id>               yes yes 403 403 404 401 403 yes 403 404
GET    /api/v1/quota                               yes yes yes yes 404 401 yes 403 403 404
PUT    /api/v1/users/<user_id>/quota               403 403 403 403 403 401 403 403 403 yes
PUT    /api/v1/teams/<team_id>/quota               403 403 403 403 403 401 403 403 403 yes
GET    /api/v1/audit                               yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/usage                               yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/business                            403 403 403 403 403 401 403 403 403 yes
POST   /api/v1/alerts                              403 403 403 403 403 403 403 403 403 403
GET    /api/v1/alerts                              yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/alerts/heartbeat                    yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/alerts/<alert_id>/explanation       yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/alerts/silences                     403 403 403 403 403 401 403 403 403 yes
POST   /api/v1/alerts/silences                     403 403 403 403 403 401 403 403 403 yes
DELETE /api/v1/alerts/silences/<silence_id>        403 403 403 403 403 401 403 403 403 yes
GET    /api/v1/requests/<request_id>/lines         403 403 403 403 403 401 403 403 403 yes
GET    /api/v1/doctor                              403 403 403 403 403 401 403 403 403 yes
POST   /api/v1/environments                        yes yes yes 403 404 401 403 yes 403 404
GET    /api/v1/environments                        yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/environments/<environment_id>       yes yes yes yes 404 401 yes 403 403 404
PATCH  /api/v1/environments/<environment_id>       yes yes yes 403 404 401 403 yes 403 404
DELETE /api/v1/environments/<environment_id>       yes yes yes 403 404 401 403 yes 403 404
POST   /api/v1/environments/<environment_id>/start   yes yes yes 403 404 401 403 403 yes 404
POST   /api/v1/environments/<environment_id>/stop    yes yes yes 403 404 401 403 403 yes 404
POST   /api/v1/environments/<environment_id>/restart yes yes yes 403 404 401 403 403 yes 404
POST   /api/v1/environments/<environment_id>/pause   yes yes yes 403 404 401 403 403 yes 404
POST   /api/v1/environments/<environment_id>/unpause yes yes yes 403 404 401 403 403 yes 404
GET    /api/v1/environments/<environment_id>/stats   yes yes yes yes 404 401 yes 403 403 404
GET    /api/v1/environments/<environment_id>/events  yes yes yes yes 404 401 yes 403 403 404
GET    /api/v1/templates                           yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/environments/<environment_id>/logs    yes yes yes yes 404 401 yes 403 403 404
POST   /api/v1/environments/<environment_id>/sessions yes yes yes 403 404 401 403 403 yes 404
GET    /api/v1/environments/<environment_id>/sessions yes yes yes yes 404 401 yes 403 403 404
GET    /api/v1/sessions/<session_id>               yes yes yes yes 404 401 yes 403 403 404
DELETE /api/v1/sessions/<session_id>               yes yes yes 403 404 401 403 403 yes 404
GET    /api/v1/sessions/<session_id>/terminal      yes yes yes 403 404 401 403 403 yes 404
GET    /api/v1/sessions/<session_id>/connection    yes yes yes 403 404 401 403 403 yes 404
POST   /api/v1/environments/<environment_id>/extensions        yes yes yes 403 404 401 403 403 yes 404
POST   /api/v1/environments/<environment_id>/extensions/upload yes yes yes 403 404 401 403 403 yes 404
GET    /api/v1/environments/<environment_id>/extensions        yes yes yes yes 404 401 yes 403 403 404
GET    /api/v1/environments/<environment_id>/extensions/<extension_id> yes yes yes yes 404 401 yes 403 403 404
DELETE /api/v1/environments/<environment_id>/extensions/<extension_id> yes yes yes 403 404 401 403 403 yes 404
POST   /api/v1/ws-tickets                          yes yes yes yes yes 401 yes yes yes yes
GET    /api/v1/environments/<environment_id>/status/stream yes yes yes yes 404 401 yes 403 403 404
GET    /api/v1/environments/status/stream          yes yes yes yes yes 401 yes 403 403 yes
GET    /api/v1/environments/<environment_id>/logs/stream   yes yes yes yes 404 401 yes 403 403 404
GET    /                                           yes yes yes yes yes yes yes yes yes yes
GET    /sign-in                                    yes yes yes yes yes yes yes yes yes yes
GET    /environments/<environment_id>              yes yes yes yes yes yes yes yes yes yes
GET    /environments/<environment_id>/<tab>        yes yes yes yes yes yes yes yes yes yes
GET    /teams                                      yes yes yes yes yes yes yes yes yes yes
GET    /teams/<team_id>                            yes yes yes yes yes yes yes yes yes yes
GET    /api-keys                                   yes yes yes yes yes yes yes yes yes yes
GET    /account                                    yes yes yes yes yes yes yes yes yes yes
GET    /service                                    yes yes yes yes yes yes yes yes yes yes
GET    /operator/accounts                          yes yes yes yes yes yes yes yes yes yes
GET    /operator/business                          yes yes yes yes yes yes yes yes yes yes
GET    /operator/doctor                            yes yes yes yes yes yes yes yes yes yes
GET    /static/<release>/<path:filename>           yes yes yes yes yes yes yes yes yes yes
POST   /console/token                              401 401 401 401 401 401 401 401 401 401
POST   /console/sign-in                            yes yes yes yes yes yes yes yes yes yes
GET    /console/telemetry                          yes yes yes yes yes 401 yes yes yes yes
POST   /console/sign-out                           yes yes yes yes yes 401 403 403 403 yes
"""  # noqa: E501
_HEADING, *_LINES = TABLE.strip().splitlines()
COLUMNS = _HEADING.split()
CELLS = {tuple(line.split()[:2]): line.split()[2:] for line in _LINES}
REFUSALS = (401, 403, 404)


class World:
    """Somebody in each role, and what they have; `renew` replaces what was changed."""

    def __init__(self, app: OpenAPI, make_user: Callable[..., User]) -> None:
        self.client = app.test_client()
        self.database = parts(app).database
        self._numbers = count()
        self._make_user = make_user
        names = ("own", "adm", "dev", "vie", "str", "op", "mate")
        self.users = {name: make_user(self.client, f"{name}@example.org") for name in names}
        set_operator(parts(app).database, "op@example.org", operator=True)
        make_user(self.client, "guest@example.org")
        for scope in Scope:
            made = self.users["adm"].make("/api/v1/api-keys", name=scope, scopes=[scope])
            column = {"read": "r", "write": "w", "execute": "x"}[scope]
            tokens = {"access_token": made["key"]}
            self.users[column] = User(self.client, "adm@example.org", tokens)
        self.ids = {name: self.users[name].id for name in names}
        self.renew()

    def renew(self) -> None:
        """Make a new team with a project and an environment, and as much for the owner."""
        admin, owner = self.users["adm"], self.users["own"]
        self.team = admin.make("/api/v1/teams", name=self.name())["id"]
        for name, role in (("dev", "developer"), ("vie", "viewer"), ("mate", "viewer")):
            path = f"/api/v1/teams/{self.team}/members/{self.ids[name]}"
            assert admin.put(path, json={"role": role}).status_code == 200
        self.project = admin.make("/api/v1/projects", name=self.name(), team_id=self.team)["id"]
        self.own_project = owner.make("/api/v1/projects", name=self.name())["id"]
        self.environment = admin.new_environment(self.name(), project_id=self.project)
        self.own = owner.new_environment(self.name(), project_id=self.own_project)
        self.session = self._new_session(self.environment)
        self.own_session = self._new_session(self.own)
        self.extension = self._new_extension(self.environment)
        self.own_extension = self._new_extension(self.own)
        self.key = admin.make("/api/v1/api-keys", name=self.name(), scopes=["read"])["id"]
        self._fresh("adm")
        logins = admin.get("/api/v1/auth/logins").get_json()["items"]
        self.login = next(one["id"] for one in logins if not one["current"])
        self.account = self._make_user(self.client, f"{self.name()}@example.org").id
        self.invitation = self.users["op"].make("/api/v1/invitations")["id"]
        self.alert = self._new_alert()

    def _new_alert(self) -> str:
        """Record an alert, as if Alertmanager had told it, and return its fingerprint."""
        moment = utc_now()
        made = Alert(
            fingerprint=self.name(),
            starts_at=moment,
            ends_at=moment,
            resolved=True,
            labels={"alertname": "HighAPILatency"},
            annotations={},
            generator_url="",
        )
        with self.database.writing() as session:
            session.add(made)
            return made.fingerprint

    def _new_session(self, environment: str) -> str:
        """Record a session; the environments here never run."""
        made = EnvironmentSession(
            id=new_id(),
            environment_id=environment,
            type=SessionType.SHELL,
            status=SessionStatus.STARTING,
            name="vibebox-1",
            container_id="none",
        )
        with self.database.writing() as session:
            session.add(made)
        return made.id

    def _new_extension(self, environment: str) -> str:
        made = Extension(id=new_id(), environment_id=environment, name="vibebox.hello")
        with self.database.writing() as session:
            session.add(made)
        return made.id

    def name(self) -> str:
        return f"n{next(self._numbers)}"

    def ask(self, route: Route, column: str) -> int:
        """Call the route as whom the column says, and return the status."""
        caller = self.users.get(column)
        response = self.client.open(
            self._path(route, column),
            method=route.method,
            json=self._body(route, column),
            data=package() if route.raw else None,
            headers={"Origin": ORIGIN} | ({} if caller is None else caller.headers),
        )
        if response.status_code < 300 and route.method != "GET":
            self._mend(route, column)
        return response.status_code

    def _path(self, route: Route, column: str) -> str:
        own = column == "own"
        ids = {
            "environment_id": self.own if own else self.environment,
            "project_id": self.own_project if own else self.project,
            "team_id": self.team,
            "user_id": self.ids["mate"],
            "api_key_id": self.key,
            "login_id": self.login,
            "account_id": self.account,
            "invitation_id": self.invitation,
            "release": "0",
            "path:filename": "console.css",
            "tab": "logs",
            "extension_id": self.own_extension if own else self.extension,
            "session_id": self.own_session if own else self.session,
            "alert_id": self.alert,
            "silence_id": new_id(),
            "request_id": new_id(),
        }
        path = route.rule
        for parameter in route.parameters:
            path = path.replace(f"<{parameter}>", ids[parameter])
        return f"{path}?team_id={self.team}" if path.endswith("/quota") and not own else path

    def _body(self, route: Route, column: str) -> dict[str, Any] | None:
        if route.good is None:
            return None
        if route.rule == "/api/v1/auth/refresh":
            return {"refresh_token": self._fresh("own")["refresh_token"]}
        own = column == "own"
        fields: dict[str, dict[str, Any]] = {
            "/api/v1/auth/register": {"email": f"{self.name()}@example.org"},
            "/api/v1/auth/login": {"email": "own@example.org"},
            "/console/sign-in": {"email": "own@example.org"},
            "/api/v1/projects": {} if own else {"team_id": self.team},
            "/api/v1/environments": {
                "image": IMAGE,
                "project_id": self.own_project if own else self.project,
            },
            "/api/v1/teams/<team_id>/members": {"email": "guest@example.org"},
        }
        named = {"name": self.name()} if "name" in route.good else {}
        return {**route.good, **named, **fields.get(route.rule, {})}

    def _mend(self, route: Route, column: str) -> None:
        if route.rule in ("/api/v1/auth/logout", "/console/sign-out"):
            self.users[column].tokens = self._fresh(column)
        elif route.parameters or route.rule in ("/api/v1/auth/logins", "/api/v1/auth/password"):
            self.renew()

    def _fresh(self, column: str) -> dict[str, Any]:
        credentials = {"email": f"{column}@example.org", "password": PASSWORD}
        tokens: dict[str, Any] = self.client.post("/api/v1/auth/login", json=credentials).get_json()
        return tokens


@pytest.fixture
def world(make_app: Callable[..., OpenAPI], make_user: Callable[..., User]) -> Iterator[World]:
    yield World(make_app(quota_environments=1000, quota_teams=100_000), make_user)


def test_every_route_has_its_line() -> None:
    assert set(CELLS) == {(route.method, route.rule) for route in EVERYWHERE}
    assert all(len(cells) == len(COLUMNS) for cells in CELLS.values())


@pytest.mark.integration
def test_every_route_in_every_role(world: World, subtests: pytest.Subtests) -> None:
    for route in EVERYWHERE:
        expected = CELLS[route.method, route.rule]
        for column, cell in zip(COLUMNS, expected, strict=True):
            with subtests.test(f"{route} as {column}"):
                status = world.ask(route, column)

                assert status not in (422, 500), "the test asks for nonsense"
                assert (str(status) if status in REFUSALS else "yes") == cell


OFFERED = {
    "/api/v1/environments/<environment_id>": {
        "environment.read": "GET /api/v1/environments/<environment_id>",
        "environment.change": "PATCH /api/v1/environments/<environment_id>",
        "environment.delete": "DELETE /api/v1/environments/<environment_id>",
        "environment.operate": "POST /api/v1/environments/<environment_id>/start",
        "session.use": "POST /api/v1/environments/<environment_id>/sessions",
        "extension.change": "POST /api/v1/environments/<environment_id>/extensions",
    },
    "/api/v1/projects/<project_id>": {
        "project.read": "GET /api/v1/projects/<project_id>",
        "project.change": "PATCH /api/v1/projects/<project_id>",
        "project.delete": "DELETE /api/v1/projects/<project_id>",
        "environment.create": "POST /api/v1/environments",
    },
    "/api/v1/teams/<team_id>": {
        "team.read": "GET /api/v1/teams/<team_id>",
        "team.change": "PATCH /api/v1/teams/<team_id>",
        "team.delete": "DELETE /api/v1/teams/<team_id>",
        "team.members": "POST /api/v1/teams/<team_id>/members",
        "project.create": "POST /api/v1/projects",
    },
    "/api/v1/auth/me": {
        "team.create": "POST /api/v1/teams",
        "quota.change": "PUT /api/v1/teams/<team_id>/quota",
        "api_key.change": "POST /api/v1/api-keys",
        "login.read": "GET /api/v1/auth/logins",
        "login.end": "DELETE /api/v1/auth/logins",
        "password.change": "POST /api/v1/auth/password",
        "account.read": "GET /api/v1/accounts",
        "account.change": "POST /api/v1/invitations",
        "logout": "POST /api/v1/auth/logout",
    },
}
"""Of what tells what may be done to it: the route that does each."""


def test_what_is_told_is_what_is_allowed(world: World, subtests: pytest.Subtests) -> None:
    for rule, actions in OFFERED.items():
        for column in ("own", "adm", "dev", "vie", "r", "w", "x", "op"):
            own = column == "own"
            path = rule.replace("<environment_id>", world.own if own else world.environment)
            path = path.replace("<project_id>", world.own_project if own else world.project)
            response = world.users[column].get(path.replace("<team_id>", world.team))
            if response.status_code != 200:
                continue
            told = set(response.get_json()["may"])
            for action, route in actions.items():
                with subtests.test(f"{action} as {column}"):
                    method, _, rule_of_it = route.partition(" ")
                    cell = CELLS[method, rule_of_it][COLUMNS.index(column)]
                    assert (cell == "yes") == (action in told)


def test_lists_tell_what_may_be_done_as_well(world: World) -> None:
    for column in ("own", "adm", "dev", "vie", "r"):
        user = world.users[column]
        for name in ("environments", "projects", "teams"):
            for item in user.get(f"/api/v1/{name}").get_json()["items"]:
                alone = user.get(f"/api/v1/{name}/{item['id']}").get_json()
                assert item["may"] == alone["may"] != []


def test_members_may_leave_by_themselves(world: World) -> None:
    for name in ("dev", "vie"):
        path = f"/api/v1/teams/{world.team}/members/{world.ids[name]}"
        assert world.users[name].send("DELETE", path).status_code == 204


def test_many_are_judged_as_each_of_them_is(world: World) -> None:
    """Who watches with others may do neither more nor less than alone."""
    scopes = (frozenset(Scope), frozenset({Scope.READ}), frozenset[Scope]())
    identities = {
        Identity(user.id, user.email, scopes=some)
        for user in world.users.values()
        for some in scopes
    }
    actions = (Action.ENVIRONMENT_READ, Action.SESSION_USE)
    ids = (world.environment, world.own, new_id(), None)
    accesses = [Access(*one) for one in product(identities, actions, ids)]
    with world.database.reading() as session:
        refused = refusals(session, accesses)
        for access in accesses:
            try:
                if access.environment_id is None:
                    may_in(access.identity, access.action)
                else:
                    environment_for(session, access.identity, access.environment_id, access.action)
            except VibeBoxError as error:
                told = refused.pop(access)
                assert (type(told), told.detail) == (type(error), error.detail)
    assert refused == {}


def test_every_action_has_a_rule() -> None:
    assert set(RULES) == set(Action)


def test_stranger_and_credential_without_scope_may_nothing() -> None:
    for action in Action:
        assert not decide(action, None, frozenset(Scope))
        for role in Role:
            assert not decide(action, role, frozenset())


def test_printed_table_has_every_rule() -> None:
    table = permissions_table()

    assert all(f"| {rule.meaning} | {rule.scope} |" in table for rule in RULES.values())
