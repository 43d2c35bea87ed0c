"""Every route of the service, as the tests walk them; a test holds the table equal to the app."""

from dataclasses import dataclass

ID = "0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"


@dataclass(frozen=True)
class Route:
    """A route: whether it needs a login, whether it reads a body, a query its rules refuse.

    A body that is `optional` may be left out.
    """

    method: str
    rule: str
    guarded: bool = False
    body: bool = False
    bad_query: str = ""
    optional: bool = False

    @property
    def path(self) -> str:
        return self.rule.replace("<environment_id>", ID)

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"


_AUTH, _ENVIRONMENTS = "/api/v1/auth", "/api/v1/environments"
_ONE = f"{_ENVIRONMENTS}/<environment_id>"

ROUTES = (
    Route("GET", "/health"),
    Route("GET", "/health/live"),
    Route("GET", "/health/ready"),
    Route("GET", "/health/metrics"),
    Route("POST", f"{_AUTH}/register", body=True),
    Route("POST", f"{_AUTH}/login", body=True),
    Route("POST", f"{_AUTH}/refresh", body=True),
    Route("POST", f"{_AUTH}/logout", guarded=True),
    Route("GET", f"{_AUTH}/me", guarded=True),
    Route("POST", _ENVIRONMENTS, guarded=True, body=True),
    Route("GET", _ENVIRONMENTS, guarded=True, bad_query="limit=0"),
    Route("GET", _ONE, guarded=True),
    Route("PATCH", _ONE, guarded=True, body=True),
    Route("DELETE", _ONE, guarded=True),
    Route("POST", f"{_ONE}/start", guarded=True, body=True, bad_query="wait=61", optional=True),
    Route("POST", f"{_ONE}/stop", guarded=True),
    Route("POST", f"{_ONE}/restart", guarded=True),
    Route("POST", f"{_ONE}/pause", guarded=True),
    Route("POST", f"{_ONE}/unpause", guarded=True),
    Route("GET", f"{_ONE}/stats", guarded=True),
    Route("GET", f"{_ONE}/events", guarded=True, bad_query="follow=maybe"),
    Route("GET", "/api/v1/templates", guarded=True),
)
GUARDED = tuple(route for route in ROUTES if route.guarded)
WITH_BODY = tuple(route for route in ROUTES if route.body)
WITH_ID = tuple(route for route in ROUTES if "<" in route.rule)
