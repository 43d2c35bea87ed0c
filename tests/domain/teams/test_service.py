"""Teams, their members, and the projects that they share."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.application import User, sign_up
from tests.support.checks import assert_problem

TEAMS, PROJECTS = "/api/v1/teams", "/api/v1/projects"


@pytest.fixture
def team(user: User) -> str:
    """A team whose admin is the user."""
    return str(user.make(TEAMS, name="payments")["id"])


@pytest.fixture
def mate(client: FlaskClient, user: User, team: str) -> User:
    """A developer of the team."""
    mate = sign_up(client, "mate@example.org")
    user.make(f"{TEAMS}/{team}/members", email="Mate@example.org", role="developer")
    return mate


def roles(user: User, team: str) -> dict[str, str]:
    page = user.get(f"{TEAMS}/{team}/members").get_json()
    assert page["total"] == len(page["items"])
    return {member["email"]: member["role"] for member in page["items"]}


def put(user: User, team: str, other: User, role: str) -> Any:
    return user.put(f"{TEAMS}/{team}/members/{other.id}", json={"role": role})


def drop(user: User, team: str, other: User) -> Any:
    return user.send("DELETE", f"{TEAMS}/{team}/members/{other.id}")


def test_who_makes_a_team_is_its_admin(user: User, team: str) -> None:
    assert roles(user, team) == {user.email: "admin"}
    shown = user.get(f"{TEAMS}/{team}").get_json()
    assert (shown["name"], shown["role"]) == ("payments", "admin")
    assert user.get(TEAMS).get_json()["items"] == [shown]


def test_names_of_teams_are_unique_in_any_case(user: User, team: str, stranger: User) -> None:
    for name in ("payments", "Payments", "-x", "x" * 64):
        expected = 409 if name == "payments" else 422
        assert stranger.post(TEAMS, json={"name": name}).status_code == expected
    other = stranger.make(TEAMS, name="other")["id"]
    response = stranger.send("PATCH", f"{TEAMS}/{other}", json={"name": "payments"})
    assert_problem(response, 409, "team-name-taken")


def test_team_is_renamed(user: User, team: str) -> None:
    response = user.send("PATCH", f"{TEAMS}/{team}", json={"name": "money"})

    assert response.get_json() == user.get(f"{TEAMS}/{team}").get_json()
    assert response.get_json()["name"] == "money"


def test_members_see_the_team_and_nobody_else_does(
    user: User, team: str, mate: User, stranger: User
) -> None:
    assert mate.get(f"{TEAMS}/{team}").get_json()["role"] == "developer"
    assert stranger.get(TEAMS).get_json() == {"items": [], "total": 0, "limit": 20, "offset": 0}
    assert_problem(stranger.get(f"{TEAMS}/{team}"), 404, "team-not-found")


def test_members_are_added_and_changed(user: User, team: str, mate: User, stranger: User) -> None:
    assert put(user, team, mate, "viewer").get_json()["role"] == "viewer"
    assert put(user, team, stranger, "developer").status_code == 200

    assert roles(user, team) == {
        user.email: "admin",
        mate.email: "viewer",
        stranger.email: "developer",
    }


def test_whom_nobody_knows_cannot_be_added(user: User, team: str, mate: User) -> None:
    members = f"{TEAMS}/{team}/members"
    unknown = user.post(members, json={"email": "no@example.org", "role": "viewer"})
    assert_problem(unknown, 404, "user-not-found")
    assert_problem(user.put(f"{members}/x", json={"role": "viewer"}), 404, "user-not-found")
    again = user.post(members, json={"email": mate.email, "role": "viewer"})
    assert_problem(again, 409, "team-conflict")
    assert_problem(
        user.post(members, json={"email": mate.email, "role": "x"}), 422, "invalid-input"
    )


def test_last_admin_stays_admin(user: User, team: str, mate: User) -> None:
    assert_problem(put(user, team, user, "developer"), 409, "team-conflict")
    assert_problem(drop(user, team, user), 409, "team-conflict")
    assert put(user, team, user, "admin").status_code == 200

    assert put(user, team, mate, "admin").status_code == 200
    assert put(user, team, user, "viewer").status_code == 200
    assert_problem(drop(user, team, mate), 403, "permission-denied")
    assert drop(user, team, user).status_code == 204
    assert roles(mate, team) == {mate.email: "admin"}


def test_members_leave_and_are_removed(user: User, team: str, mate: User, stranger: User) -> None:
    assert_problem(drop(user, team, stranger), 404, "member-not-found")
    assert_problem(drop(stranger, team, stranger), 404, "team-not-found")
    assert drop(mate, team, mate).status_code == 204
    assert_problem(mate.get(f"{TEAMS}/{team}"), 404, "team-not-found")


def test_team_with_projects_stays(user: User, team: str) -> None:
    project = user.make(PROJECTS, name="api", team_id=team)["id"]
    assert_problem(user.send("DELETE", f"{TEAMS}/{team}"), 409, "team-conflict")

    assert user.send("DELETE", f"{PROJECTS}/{project}").status_code == 204
    assert user.send("DELETE", f"{TEAMS}/{team}").status_code == 204
    assert_problem(user.get(f"{TEAMS}/{team}"), 404, "team-not-found")


def test_lists_are_paged_newest_first(user: User) -> None:
    made = [user.make(TEAMS, name=f"t{number}")["name"] for number in range(3)]

    pages = [user.get(f"{TEAMS}?limit=2&offset={offset}").get_json() for offset in (0, 2)]

    names = [item["name"] for page in pages for item in page["items"]]
    assert names == made[::-1]
    assert [page["total"] for page in pages] == [3, 3]


def test_team_shares_projects_and_environments(
    user: User, team: str, mate: User, stranger: User
) -> None:
    project = user.make(PROJECTS, name="api", team_id=team)
    environment = mate.new_environment("one", project_id=project["id"])

    assert user.get(f"/api/v1/environments/{environment}").status_code == 200
    (seen,) = mate.get(PROJECTS).get_json()["items"]
    may = ["project.read", "environment.create", "usage.read"]
    assert (seen["id"], seen["may"]) == (project["id"], may)
    assert mate.get(f"{PROJECTS}?team_id={team}").get_json()["total"] == 1
    assert stranger.get(PROJECTS).get_json()["items"] == []
    assert_problem(stranger.get(f"{PROJECTS}?team_id={team}"), 404, "team-not-found")
    put(user, team, mate, "viewer")
    response = mate.send("DELETE", f"/api/v1/environments/{environment}")
    assert "viewer" in assert_problem(response, 403, "permission-denied")["detail"]


def test_project_of_ones_own(user: User) -> None:
    user.new_environment()
    (personal,) = user.get(PROJECTS).get_json()["items"]
    assert (personal["name"], personal["owner_team_id"]) == ("personal", None)

    own = user.make(PROJECTS, name="own")
    assert_problem(user.post(PROJECTS, json={"name": "own"}), 409, "project-name-taken")
    renamed = user.send("PATCH", f"{PROJECTS}/{own['id']}", json={"name": "mine"})
    assert renamed.get_json() == user.get(f"{PROJECTS}/{own['id']}").get_json()
    taken = user.send("PATCH", f"{PROJECTS}/{own['id']}", json={"name": "personal"})
    assert_problem(taken, 409, "project-name-taken")


def test_project_that_holds_environments_stays(user: User) -> None:
    project = user.make(PROJECTS, name="own")["id"]
    environment = user.new_environment("one", project_id=project)
    response = user.send("DELETE", f"{PROJECTS}/{project}")
    assert_problem(response, 409, "project-not-empty")

    assert user.send("DELETE", f"/api/v1/environments/{environment}").status_code == 204
    assert user.send("DELETE", f"{PROJECTS}/{project}").status_code == 204
    assert_problem(user.get(f"{PROJECTS}/{project}"), 404, "project-not-found")
