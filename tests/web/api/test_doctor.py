"""The doctor over HTTP: for operators, and from what the web server holds."""

from flask_openapi3 import OpenAPI

from app.doctor.build import NAMES
from app.domain.accounts.operators import set_operator
from tests.support.application import User, parts
from tests.support.checks import assert_problem
from tests.support.fakes import Failure, FakeEngine


def test_operators_are_told_what_is_wrong(app: OpenAPI, user: User, engine: FakeEngine) -> None:
    assert_problem(user.send("GET", "/api/v1/doctor"), 403, "permission-denied")
    set_operator(parts(app).database, user.email, operator=True)
    engine.failures["ping"] = Failure.UNREACHABLE
    answer = user.send("GET", "/api/v1/doctor")

    assert answer.status_code == 200
    found = answer.get_json()
    checks = {one["name"]: one for one in found["checks"]}
    assert list(checks) == list(NAMES)
    assert (found["outcome"], checks["database"]["outcome"]) == ("failed", "ok")
    assert checks["docker"]["outcome"] == "failed" and checks["docker"]["next_step"]
    assert checks["images"]["outcome"] == "skipped"
    assert "No agent is at work" in checks["agent"]["says"]
