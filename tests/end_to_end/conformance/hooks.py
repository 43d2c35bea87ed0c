"""What schemathesis loads: who asks, and the rules that no schema can say.

SCHEMATHESIS_HOOKS names this module; VIBEBOX_TEST_ACCOUNT is the account, as "email password",
VIBEBOX_TEST_ACCOUNT_ID its id, and VIBEBOX_TEST_ALERTS_TOKEN what Alertmanager would send.
"""

import os
import uuid
from typing import Any

import requests
import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.specs.openapi.checks import positive_data_acceptance

_UNPROCESSABLE, _UPGRADE_REQUIRED = 422, 426
# What a request that the schema allows may still be refused for.
_BEYOND_SCHEMA = (
    "Name a moment in the future",  # when it is now
    "Take next_cursor or end_cursor",  # which lines there are, and another parameter
    "Name a moment not before 1970-",  # there is no bound of a date-time
    "Name a moment not after 2261-",
    "each host port once",  # one member of each of the ports
    "is no .vsix",  # what is in a file
    "within the next 90 days",  # when it is now
    "Name a time before `until`",  # another parameter
    "Name a day not after `until`",  # another parameter
    "Name at most 1100 days",  # another parameter
    "not your present password",  # which one is right
)
_NOT_THERE = (
    "template-not-found",
    "image-missing",
    "image-pull-failed",
    "executable-missing",
)


_ENDS_LOGINS = (
    ("POST", "/api/v1/auth/password"),
    ("DELETE", "/api/v1/auth/logins"),
    ("DELETE", "/api/v1/auth/logins/{login_id}"),
)


def _login(base: str) -> str:
    email, password = os.environ["VIBEBOX_TEST_ACCOUNT"].split(" ", 1)
    token: str = _post(f"{base}/api/v1/auth/login", email, password)["access_token"]
    return token


def _guest(base: str) -> str:
    """Return a token of a new account: what an operator may do to others ends older ones."""
    email, password = f"{uuid.uuid4().hex}@example.org", "not that of the document"
    _post(f"{base}/api/v1/auth/register", email, password)
    token: str = _post(f"{base}/api/v1/auth/login", email, password)["access_token"]
    return token


def _post(url: str, email: str, password: str) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, json={"email": email, "password": password}, timeout=30)
    answer.raise_for_status()
    return answer.json()


@schemathesis.auth(refresh_interval=600)
class Bearer:
    """Signs in; what ends logins is asked with others, since those that ask the rest go on."""

    def get(self, case: Any, context: Any) -> str:
        return _login(case.operation.base_url.rstrip("/"))

    def set(self, case: Any, data: str, context: Any) -> None:
        base = case.operation.base_url.rstrip("/")
        asked = (case.operation.method.upper(), case.operation.path)
        if asked == ("POST", "/api/v1/alerts"):
            data = os.environ["VIBEBOX_TEST_ALERTS_TOKEN"]
        elif asked == ("POST", "/api/v1/auth/logout"):
            data = _login(base)
        elif asked in _ENDS_LOGINS:
            data = _guest(base)
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Keep who asks from giving itself another password."""
    own = os.environ["VIBEBOX_TEST_ACCOUNT_ID"]
    if case.operation.path == "/api/v1/accounts/{account_id}/password" and (
        case.path_parameters.get("account_id") == own
    ):
        case.path_parameters["account_id"] = "none"


@schemathesis.check
def promise_kept(ctx: Any, response: Any, case: Any) -> bool | None:
    """Hold that what the schema allows is accepted, or refused for what no schema can say."""
    try:
        return positive_data_acceptance(ctx, response, case)
    except RejectedPositiveData:
        if not _excused(response):
            raise
        return None


def _excused(response: Any) -> bool:
    if response.status_code == _UPGRADE_REQUIRED:
        return True  # plain HTTP, where a WebSocket is wanted; a handshake is tested beside this
    if response.status_code != _UNPROCESSABLE:
        return False
    problem = response.json()
    if problem["type"].rpartition(":")[2] in _NOT_THERE:
        return True
    reasons = [error["message"] for error in problem.get("errors", ())]
    return bool(reasons) and all(
        any(known in reason for known in _BEYOND_SCHEMA) for reason in reasons
    )
