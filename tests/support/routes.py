"""Every route of the service, as the tests walk them; a test holds the table equal to the app."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask_openapi3 import OpenAPI
from werkzeug.routing import Rule

ID = "0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"
UNKNOWN = {
    "environment_id": "environment-not-found",
    "project_id": "project-not-found",
    "team_id": "team-not-found",
    "api_key_id": "api-key-not-found",
    "login_id": "login-not-found",
    "account_id": "user-not-found",
    "invitation_id": "invitation-not-found",
    "session_id": "session-not-found",
    "extension_id": "extension-not-found",
    "alert_id": "alert-not-found",
    "silence_id": "store-not-set",
}
"""What answers an id that nothing has; of several ids in a path the first one decides."""
_PARAMETER = re.compile("<(.*?)>")


@dataclass(frozen=True)
class Route:
    """A route, and what the tests need to call it.

    Whether it needs a login, whether it reads a body, a query its rules refuse, a body they accept,
    whether only operators may call it, whether its body may be left out, whether it is for a
    machine with a token of the settings, which no account has.
    """

    method: str
    rule: str
    guarded: bool = False
    body: bool = False
    bad_query: str = ""
    good: dict[str, Any] | None = None
    operator: bool = False
    optional: bool = False
    machine: bool = False
    raw: bool = False
    """Whether its body is a file and no JSON."""

    @property
    def path(self) -> str:
        return _PARAMETER.sub(ID, self.rule)

    @property
    def parameters(self) -> list[str]:
        return _PARAMETER.findall(self.rule)

    def path_with(self, parameter: str, value: str) -> str:
        """Return the path with that value for one parameter."""
        return _PARAMETER.sub(ID, self.rule.replace(f"<{parameter}>", value))

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"


_AUTH, _ENVIRONMENTS = "/api/v1/auth", "/api/v1/environments"
_ONE = f"{_ENVIRONMENTS}/<environment_id>"
_EXTENSIONS = f"{_ONE}/extensions"
_SESSION = "/api/v1/sessions/<session_id>"
_KEYS, _TEAMS, _PROJECTS = "/api/v1/api-keys", "/api/v1/teams", "/api/v1/projects"
_TEAM, _PROJECT = f"{_TEAMS}/<team_id>", f"{_PROJECTS}/<project_id>"
_LOGIN = {"email": "ada@example.org", "password": "correct horse battery"}
_ACCOUNTS, _INVITATIONS = "/api/v1/accounts", "/api/v1/invitations"
_ACCOUNT = f"{_ACCOUNTS}/<account_id>"
_PASSWORDS = {"old_password": "correct horse battery", "new_password": "correct horse battery"}
_QUOTA = {"environments": 1, "cpus": 1, "memory_mb": 16}
_NAMED = {"name": "x"}
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "HighAPILatency", "severity": "warning"},
    "annotations": {"summary": "The API is slow"},
    "startsAt": "2026-01-31T12:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus:9090/graph",
    "fingerprint": "c7b1b4f3c8e0d9a2",
}
WATCHDOG: dict[str, Any] = {
    **ALERT,
    "labels": {"alertname": "Watchdog", "severity": "none"},
    "annotations": {"evaluated_at": "1769860800.123"},
}
_SILENCE = {"alert_id": "HighAPILatency", "seconds": 3600, "comment": "known"}
_WEBHOOK = {"version": "4", "receiver": "vibebox", "status": "firing", "alerts": [ALERT]}


def _open(method: str, rule: str, good: dict[str, Any] | None = None) -> Route:
    return Route(method, rule, body=good is not None, good=good)


def _guarded(
    method: str, rule: str, good: dict[str, Any] | None = None, bad: str = "", op: bool = False
) -> Route:
    return Route(method, rule, True, good is not None, bad, good, op)


ROUTES = (
    _open("GET", "/health"),
    _open("GET", "/health/live"),
    _open("GET", "/health/ready"),
    Route("GET", "/health/metrics", bad_query="collect%5B%5D=cats"),
    _open("GET", f"{_AUTH}/registration"),
    _open("POST", f"{_AUTH}/register", {**_LOGIN, "email": "new@example.org"}),
    _open("POST", f"{_AUTH}/login", _LOGIN),
    _open("POST", f"{_AUTH}/refresh", {"refresh_token": "vbx_rt_x"}),
    _guarded("POST", f"{_AUTH}/logout"),
    _guarded("GET", f"{_AUTH}/me"),
    _guarded("POST", f"{_AUTH}/password", _PASSWORDS),
    _guarded("GET", f"{_AUTH}/logins", bad="limit=0"),
    _guarded("DELETE", f"{_AUTH}/logins"),
    _guarded("DELETE", f"{_AUTH}/logins/<login_id>"),
    _guarded("GET", _ACCOUNTS, bad="limit=0", op=True),
    _guarded("GET", _ACCOUNT, op=True),
    _guarded("POST", f"{_ACCOUNT}/disable", op=True),
    _guarded("POST", f"{_ACCOUNT}/enable", op=True),
    _guarded("PUT", f"{_ACCOUNT}/password", {"password": "correct horse battery"}, op=True),
    _guarded("DELETE", _ACCOUNT, bad="transfer_to=%00", op=True),
    _guarded("POST", _INVITATIONS, {"email": None}, op=True),
    _guarded("GET", _INVITATIONS, bad="limit=0", op=True),
    _guarded("DELETE", f"{_INVITATIONS}/<invitation_id>", op=True),
    _guarded("POST", _KEYS, {"name": "ci", "scopes": ["read"]}),
    _guarded("GET", _KEYS),
    _guarded("DELETE", f"{_KEYS}/<api_key_id>"),
    _guarded("POST", _TEAMS, _NAMED),
    _guarded("GET", _TEAMS, bad="limit=0"),
    _guarded("GET", _TEAM),
    _guarded("PATCH", _TEAM, _NAMED),
    _guarded("DELETE", _TEAM),
    _guarded("GET", f"{_TEAM}/members", bad="offset=-1"),
    _guarded("POST", f"{_TEAM}/members", {"email": "eve@example.org", "role": "viewer"}),
    _guarded("PUT", f"{_TEAM}/members/<user_id>", {"role": "viewer"}),
    _guarded("DELETE", f"{_TEAM}/members/<user_id>"),
    _guarded("POST", _PROJECTS, _NAMED),
    _guarded("GET", _PROJECTS, bad="limit=101"),
    _guarded("GET", _PROJECT),
    _guarded("PATCH", _PROJECT, _NAMED),
    _guarded("DELETE", _PROJECT),
    _guarded("GET", "/api/v1/quota", bad="team_id=%00"),
    _guarded("PUT", "/api/v1/users/<user_id>/quota", _QUOTA, op=True),
    _guarded("PUT", f"{_TEAM}/quota", _QUOTA, op=True),
    _guarded("GET", "/api/v1/audit", bad="since=yesterday"),
    _guarded("GET", "/api/v1/usage", bad="by=colour"),
    _guarded("GET", "/api/v1/business", bad="since=yesterday", op=True),
    Route("POST", "/api/v1/alerts", body=True, good=_WEBHOOK, machine=True),
    _guarded("GET", "/api/v1/alerts", bad="ended=maybe"),
    _guarded("GET", "/api/v1/alerts/heartbeat"),
    _guarded("GET", "/api/v1/alerts/<alert_id>/explanation"),
    _guarded("GET", "/api/v1/alerts/silences", op=True),
    _guarded("POST", "/api/v1/alerts/silences", _SILENCE, op=True),
    _guarded("DELETE", "/api/v1/alerts/silences/<silence_id>", op=True),
    _guarded("GET", "/api/v1/requests/<request_id>/lines", bad="limit=0", op=True),
    _guarded("GET", "/api/v1/doctor", op=True),
    _guarded("POST", _ENVIRONMENTS, {"name": "x", "image": "busybox"}),
    _guarded("GET", _ENVIRONMENTS, bad="limit=0"),
    _guarded("GET", _ONE),
    _guarded("PATCH", _ONE, _NAMED),
    _guarded("DELETE", _ONE),
    Route("POST", f"{_ONE}/start", True, True, "wait=61", {"pull": "never"}, optional=True),
    _guarded("POST", f"{_ONE}/stop"),
    _guarded("POST", f"{_ONE}/restart"),
    _guarded("POST", f"{_ONE}/pause"),
    _guarded("POST", f"{_ONE}/unpause"),
    _guarded("GET", f"{_ONE}/stats"),
    _guarded("GET", f"{_ONE}/events", bad="follow=maybe"),
    _guarded("GET", "/api/v1/templates"),
    _guarded("GET", f"{_ONE}/logs", bad="limit=0"),
    _guarded("POST", "/api/v1/ws-tickets"),
    _guarded("POST", f"{_ONE}/sessions", {"type": "shell"}),
    _guarded("GET", f"{_ONE}/sessions", bad="status=asleep"),
    _guarded("GET", _SESSION),
    _guarded("DELETE", _SESSION),
    _guarded("GET", f"{_SESSION}/connection"),
    _guarded("POST", _EXTENSIONS, {"id": "ms-python.python"}),
    Route("POST", f"{_EXTENSIONS}/upload", True, raw=True),
    _guarded("GET", _EXTENSIONS, bad="state=asleep"),
    _guarded("GET", f"{_EXTENSIONS}/<extension_id>"),
    _guarded("DELETE", f"{_EXTENSIONS}/<extension_id>"),
    _guarded("GET", f"{_SESSION}/terminal", bad="cols=0"),
    _guarded("GET", f"{_ONE}/status/stream", bad=f"ticket={'x' * 129}"),
    _guarded("GET", f"{_ENVIRONMENTS}/status/stream", bad=f"ticket={'x' * 129}"),
    _guarded("GET", f"{_ONE}/logs/stream", bad="cursor=nowhere"),
)
CONSOLE = (
    Route("GET", "/"),
    Route("GET", "/sign-in"),
    Route("GET", "/environments/<environment_id>"),
    Route("GET", "/environments/<environment_id>/<tab>"),
    Route("GET", "/teams"),
    Route("GET", "/teams/<team_id>"),
    Route("GET", "/api-keys"),
    Route("GET", "/account"),
    Route("GET", "/service"),
    Route("GET", "/operator/accounts"),
    Route("GET", "/operator/business"),
    Route("GET", "/operator/doctor"),
    Route("GET", "/static/<release>/<path:filename>"),
    Route("POST", "/console/token"),
    Route("POST", "/console/sign-in", body=True, good=_LOGIN),
    Route("GET", "/console/telemetry", guarded=True),
    Route("POST", "/console/sign-out", guarded=True),
)
"""What browsers alone ask for: pages, and what serves them. No part of the documented API; what
these answer is tested in `test_console`."""
EVERYWHERE = (*ROUTES, *CONSOLE)
GUARDED = tuple(route for route in ROUTES if route.guarded)
WITH_BODY = tuple(route for route in ROUTES if route.body and not route.machine)
WITH_ID = tuple(route for route in ROUTES if "<" in route.rule)


def operations(app: OpenAPI) -> Iterator[tuple[str, Rule, dict[str, Any]]]:
    """Yield method, rule and description of what the OpenAPI document holds."""
    for rule in app.url_map.iter_rules():
        path = app.api_doc["paths"].get(rule.rule.replace("<", "{").replace(">", "}"), {})
        for method in rule.methods or ():
            if method.lower() in path:
                yield method, rule, path[method.lower()]
