"""Accounts, keys, teams and projects; requests of every method; probes."""

import http.client
from typing import Any

from tests.end_to_end.api import PASSWORD
from tests.end_to_end.families.moves import (
    Moves,
    auth,
    checked,
    docker,
    moves,
    registered,
    token,
    users,
)
from tests.end_to_end.families.stack import ALERTS_TOKEN, Stack, Step
from tests.support.routes import ALERT, WATCHDOG

ADA, EVE, GUEST = "ada@example.org", "eve@example.org", "guest@example.org"
NOTHING: Moves = Moves()


def expect(status: int, response: Any) -> Any:
    """Return the body of an answer with that status."""
    assert response.status_code == status, (response.status_code, response.text)
    return response.json() if response.content else None


def log_in(stack: Stack, email: str) -> str:
    """Return an access token; the API goes on in that name."""
    expect(200, stack.api.login(email))
    return str(stack.api.tokens["access_token"])


def refresh(stack: Stack) -> None:
    given = {"refresh_token": stack.api.tokens["refresh_token"]}
    stack.api.tokens = expect(200, stack.api.call("POST", "/auth/refresh", given))


def bad_refresh(stack: Stack) -> None:
    expect(401, stack.api.call("POST", "/auth/refresh", {"refresh_token": "vbx_rt_no"}))


def make_key(stack: Stack) -> None:
    asked = {"name": "ci", "scopes": ["read"]}
    stack.kept["key"] = expect(201, stack.api.call("POST", "/api-keys", asked))
    expect(409, stack.api.call("POST", "/api-keys", asked))
    expect(200, stack.api.call("GET", "/api-keys"))


def use_key(stack: Stack) -> None:
    key = stack.kept["key"]["key"]
    expect(200, stack.api.call("GET", "/environments", token=key))
    expect(403, stack.api.call("POST", "/teams", {"name": "x"}, token=key))


def log_out(stack: Stack) -> None:
    other = expect(200, stack.api.login(ADA))["access_token"]
    expect(204, stack.api.call("POST", "/auth/logout", token=other))
    expect(401, stack.api.call("GET", "/auth/me", token=other))
    log_in(stack, ADA)


def tell_alerts(stack: Stack) -> None:
    """Tell an alert and the heartbeat twice, as Alertmanager does; look at both."""
    told = {"version": "4", "alerts": [ALERT, WATCHDOG]}
    for _ in range(2):
        expect(200, stack.api.call("POST", "/alerts", told, token=ALERTS_TOKEN))
    assert expect(200, stack.api.call("GET", "/alerts"))["total"] == 1
    assert expect(200, stack.api.call("GET", "/alerts/heartbeat"))["state"] == "beating"


def work_in_a_team(stack: Stack) -> None:
    api = stack.api
    expect(201, api.register(EVE))
    team = expect(201, api.call("POST", "/teams", {"name": "core"}))["id"]
    path = f"/teams/{team}"
    expect(200, api.call("PATCH", path, {"name": "kernel"}))
    member = expect(201, api.call("POST", f"{path}/members", {"email": EVE, "role": "viewer"}))
    one = f"{path}/members/{member['user_id']}"
    expect(200, api.call("PUT", one, {"role": "developer"}))
    expect(200, api.call("GET", f"{path}/members"))
    expect(204, api.call("DELETE", one))
    project = expect(201, api.call("POST", "/projects", {"name": "site", "team_id": team}))["id"]
    expect(200, api.call("PATCH", f"/projects/{project}", {"name": "page"}))
    expect(204, api.call("DELETE", f"/projects/{project}"))
    expect(200, api.call("GET", "/quota"))
    expect(200, api.call("GET", "/audit"))
    expect(204, api.call("DELETE", path))


def look_after_accounts(stack: Stack) -> None:
    """Invite, disable, enable and delete somebody, and end logins, as an operator."""
    api = stack.api
    stack.sql(f"UPDATE users SET is_operator = true WHERE email = '{ADA}'")
    invitation = expect(201, api.call("POST", "/invitations", {}))
    body = {"email": GUEST, "password": PASSWORD, "invitation": invitation["token"]}
    guest = expect(201, api.call("POST", "/auth/register", body))["id"]
    expect(403, api.call("POST", "/auth/register", body))
    open_one = expect(201, api.call("POST", "/invitations", {}))["id"]
    expect(200, api.call("GET", "/invitations"))
    expect(204, api.call("DELETE", f"/invitations/{open_one}"))
    expect(200, api.call("GET", "/accounts"))
    for action in ("disable", "enable"):
        expect(200, api.call("POST", f"/accounts/{guest}/{action}"))
    expect(204, api.call("PUT", f"/accounts/{guest}/password", {"password": PASSWORD}))
    expect(204, api.call("DELETE", f"/accounts/{guest}"))
    expect(200, api.call("GET", "/auth/logins"))
    expect(204, api.call("DELETE", "/auth/logins"))


def ask_by_every_method(stack: Stack) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"):
        assert stack.api.ask(method, "/no/such/path?token=secret") == 404, method
    assert ask_barely(stack, "CONNECT", "/no/such/path") == 404


def ask_barely(stack: Stack, method: str, path: str, **headers: str) -> int:
    """Send what no proper client does, without a body, and return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.server.port, timeout=30)
    connection.request(method, path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    stack.answers.append((method, path, status))
    return status


def ask_in_every_way(stack: Stack) -> None:
    ask, login = stack.api.ask, "/api/v1/auth/login"
    assert ask("HEAD", "/health/live") == 200
    assert ask("OPTIONS", login) == 200
    assert ask("PUT", "/health") == 405
    assert ask("GET", "/openapi") == 308
    assert ask("POST", login, b"{") == 400
    assert ask("POST", login, b"{}") == 422
    # The body that is announced need not be sent to be refused.
    sizes = {"Content-Type": "application/json", "Content-Length": str(2**20 + 1)}
    assert ask_barely(stack, "POST", login, **sizes) == 413
    assert ask("GET", "/api/v1/auth/me") == 401


def probe(stack: Stack) -> None:
    assert stack.api.ask("GET", "/health") == 200
    assert stack.api.ask("GET", "/health/live") == 200
    assert stack.api.ask("GET", "/health/ready") == 200


STEPS = (
    Step(
        "registration",
        lambda stack: expect(201, stack.api.register(ADA)),
        moves(registered(created=1), users(registered=1)),
    ),
    Step(
        "registration of an address that is taken",
        lambda stack: expect(409, stack.api.register(ADA)),
        registered(taken=1),
    ),
    Step(
        "login",
        lambda stack: log_in(stack, ADA),
        moves(auth("password", success=1), users(active_24h=1, active_7d=1)),
    ),
    Step(
        "wrong password",
        lambda stack: expect(401, stack.api.login(ADA, f"not {PASSWORD}")),
        auth("password", failure=1),
    ),
    Step("refresh", refresh, auth("refresh", success=1)),
    Step("unknown refresh token", bad_refresh, auth("refresh", failure=1)),
    Step("token", lambda stack: expect(200, stack.api.call("GET", "/auth/me")), token()),
    Step(
        "unknown token",
        lambda stack: expect(401, stack.api.call("GET", "/auth/me", token="vbx_at_no")),
        auth("token", failure=1),
    ),
    Step("new API key", make_key, token(3)),
    Step("API key", use_key, auth("api_key", success=2)),
    Step(
        "unknown API key",
        lambda stack: expect(401, stack.api.call("GET", "/auth/me", token="vbx_ak_no")),
        auth("api_key", failure=1),
    ),
    Step(
        "revoked API key",
        lambda stack: expect(204, stack.api.call("DELETE", f"/api-keys/{stack.kept['key']['id']}")),
        token(),
    ),
    Step("new key of a revoked name", make_key, token(3)),
    Step("logout", log_out, moves(auth("password", success=2), token(), auth("token", failure=1))),
    Step(
        "team",
        work_in_a_team,
        moves(token(12), registered(created=1), users(registered=1)),
    ),
    Step(
        "accounts",
        look_after_accounts,
        moves(token(11), registered("invitation", created=1, refused=1)),
    ),
    Step("alerts", tell_alerts, token(2)),
    Step("every method", ask_by_every_method, NOTHING),
    Step("every refusal", ask_in_every_way, NOTHING),
    Step("probes", probe, moves(checked("database", "docker", "agent", "disk"), docker(ping=1))),
)
