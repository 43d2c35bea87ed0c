"""What may be asked for of extensions, and what is recorded of it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.storage import AuditEntry, Extension, ExtensionPackage, ExtensionState
from tests.backends.code_server import package
from tests.support.application import User, parts
from tests.support.checks import assert_problem


class Asking:
    """An environment, and its owner who asks for extensions."""

    def __init__(self, app: OpenAPI, user: User) -> None:
        self.database, self.user = parts(app).database, user
        self.path = f"/api/v1/environments/{user.new_environment()}/extensions"

    def install(self, reference: str) -> TestResponse:
        return self.user.post(self.path, json={"id": reference})

    def upload(self, content: bytes) -> TestResponse:
        return self.user.client.post(f"{self.path}/upload", data=content, headers=self.user.headers)

    def listed(self, query: str = "") -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.user.get(f"{self.path}{query}").get_json()["items"]
        return items

    def become(self, state: ExtensionState) -> None:
        with self.database.writing() as session:
            session.execute(update(Extension).values(state=state, exit_code=1, output="x"))

    def packages(self) -> list[bytes]:
        with self.database.reading() as session:
            return list(session.scalars(select(ExtensionPackage.content)))


@pytest.fixture
def asking(app: OpenAPI, user: User) -> Asking:
    return Asking(app, user)


def test_what_is_asked_for_waits(asking: Asking) -> None:
    response = asking.install("MS-Python.Python@2024.1.0")

    assert response.status_code == 202
    made = response.get_json()
    assert (made["name"], made["version"]) == ("ms-python.python", "2024.1.0")
    assert (made["state"], made["uploaded"]) == ("pending", False)
    assert asking.user.get(response.headers["Location"]).get_json() == made
    assert asking.listed() == [made]
    assert asking.listed("?state=failed") == []


@pytest.mark.parametrize(
    "reference",
    [
        *(
            "python",
            "a.b.c",
            "a.b@",
            "a.b@latest",
            "a.b@1.0",
            "-a.b",
            "a.--force",
            "a b.c",
            "a.b\n",
            "",
        ),
        f"a.b@1.0.{'0' * 80}",  # more than is kept of it
    ],
)
def test_impossible_name_is_refused(asking: Asking, reference: str) -> None:
    problem = assert_problem(asking.install(reference), 422, "invalid-input")
    assert [error["field"] for error in problem["errors"]] == ["id"]
    assert asking.listed() == []


def test_what_is_asked_for_again_is_done_again(asking: Asking) -> None:
    first = asking.install("a.b").get_json()["id"]
    asking.become(ExtensionState.FAILED)

    again = asking.install("A.B@1.2.3").get_json()
    assert (again["id"], again["state"], again["version"]) == (first, "pending", "1.2.3")
    assert (again["exit_code"], again["output"]) == (None, None)


@pytest.mark.parametrize("state", [ExtensionState.INSTALLING, ExtensionState.UNINSTALLING])
def test_what_is_under_way_is_a_conflict(asking: Asking, state: ExtensionState) -> None:
    asking.install("a.b")
    asking.become(state)

    assert_problem(asking.install("a.b"), 409, "extension-conflict")
    assert asking.listed()[0]["state"] == state


def test_package_is_kept_until_something_else_takes_its_place(asking: Asking) -> None:
    assert asking.upload(package()).get_json()["uploaded"]
    assert asking.packages() == [package()]
    newer = package(version="0.0.2")
    assert asking.upload(newer).get_json()["version"] == "0.0.2"
    assert asking.packages() == [newer]
    assert not asking.install("vibebox.hello").get_json()["uploaded"]
    assert asking.packages() == []


def test_what_is_no_package_is_refused(asking: Asking) -> None:
    assert_problem(asking.upload(b"no zip"), 422, "invalid-input")
    assert asking.listed() == []


def test_package_may_be_larger_than_other_bodies_and_has_a_limit(
    make_app: Callable[..., OpenAPI], make_user: Callable[..., User]
) -> None:
    app = make_app(extension_limit_mb=2)
    user = make_user(app.test_client(), "ada@example.org")
    asking = Asking(app, user)
    large = package() + b"\0" * 1_500_000
    assert_problem(asking.upload(large), 422, "invalid-input")
    refused = assert_problem(asking.upload(b"\0" * 2_500_000), 413, "body-too-large")
    assert refused["detail"] == "Send at most 2 MiB."


def test_removal_waits_for_the_agent(asking: Asking) -> None:
    made = asking.install("a.b").get_json()
    removed = asking.user.send("DELETE", f"{asking.path}/{made['id']}")

    assert (removed.status_code, removed.get_json()["state"]) == (202, "uninstalling")
    assert_problem(asking.user.send("DELETE", f"{asking.path}/none"), 404, "extension-not-found")


def test_extension_of_another_environment_is_not_found(asking: Asking) -> None:
    made = asking.install("a.b").get_json()
    other = f"/api/v1/environments/{asking.user.new_environment('other')}/extensions"

    for method in ("GET", "DELETE"):
        response = asking.user.send(method, f"{other}/{made['id']}")
        assert_problem(response, 404, "extension-not-found")


def test_changes_are_audited(asking: Asking) -> None:
    made = asking.install("a.b@1.0.0").get_json()
    asking.user.send("DELETE", f"{asking.path}/{made['id']}")

    with asking.database.reading() as session:
        query = select(AuditEntry).where(AuditEntry.target_kind == "extension")
        entries = list(session.scalars(query.order_by(AuditEntry.id)))
        told = [(entry.action, entry.target_name, entry.actor) for entry in entries]
    assert told == [
        ("extension.install", "a.b", "ada@example.org"),
        ("extension.remove", "a.b", "ada@example.org"),
    ]
