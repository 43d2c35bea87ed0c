"""`vibebox teams` and `vibebox members`: people who share projects."""

import sys
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import lookup, output
from app.cli.client.errors import RefusedError
from app.cli.client.options import as_json, connected

if TYPE_CHECKING:
    from app.cli.client.api import Api

ROLES = ("viewer", "developer", "admin")

team_argument = click.argument("team", metavar="TEAM")
email_argument = click.argument("email")
yes = click.option("--yes", is_flag=True, help="Do not ask.")


def confirm(question: str, sure: bool) -> None:
    """Ask whether somebody is sure. Raises: UsageError without a terminal, Abort at a no."""
    if sure:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask whether you are sure; add --yes.")
    click.confirm(question, abort=True)


@click.group()
def teams() -> None:
    """List, make, rename and delete teams."""


@teams.command("ls")
@as_json
@connected
def list_teams(api: "Api", as_json: bool) -> None:
    """List the teams that you are in."""
    listed = api.all("/teams")
    if as_json:
        output.document(listed)
        return
    rows = [
        (item["name"], item["role"], output.age(item["created_at"]), item["id"])
        for item in listed["items"]
    ]
    output.table(("NAME", "ROLE", "AGE", "ID"), rows)


@teams.command("create")
@click.argument("name")
@as_json
@connected
def create_team(api: "Api", name: str, as_json: bool) -> None:
    """Make the team NAME, with you as its admin."""
    made = api.post("/teams", {"name": name})
    if as_json:
        output.document(made)
    else:
        output.note(f"The team {made['name']} is made; you are its admin.")


@teams.command("rename")
@team_argument
@click.argument("name")
@connected
def rename_team(api: "Api", team: str, name: str) -> None:
    """Give a team another name."""
    changed = api.patch(f"/teams/{lookup.team_id(api, team)}", {"name": name})
    output.note(f"The team {team} is called {changed['name']} now.")


@teams.command("rm")
@team_argument
@yes
@connected
def remove_team(api: "Api", team: str, yes: bool) -> None:
    """Delete a team that has no projects."""
    found = lookup.team_id(api, team)
    confirm(f"Delete the team {team}?", yes)
    api.delete(f"/teams/{found}")
    output.note(f"The team {team} is deleted.")


@teams.command("leave")
@team_argument
@yes
@connected
def leave_team(api: "Api", team: str, yes: bool) -> None:
    """Be in a team no more."""
    found = lookup.team_id(api, team)
    confirm(f"Leave {team}? You see its projects no more.", yes)
    api.delete(f"/teams/{found}/members/{api.get('/auth/me')['id']}")
    output.note(f"You have left {team}.")


@click.group()
def members() -> None:
    """List, add, change and remove the members of a team."""


@members.command("ls")
@team_argument
@as_json
@connected
def list_members(api: "Api", team: str, as_json: bool) -> None:
    """List the members of a team."""
    listed = api.all(f"/teams/{lookup.team_id(api, team)}/members", key=("user_id",))
    if as_json:
        output.document(listed)
        return
    rows = [
        (item["email"], item["role"], output.age(item["created_at"])) for item in listed["items"]
    ]
    output.table(("ACCOUNT", "ROLE", "SINCE"), rows)


@members.command("add")
@team_argument
@email_argument
@click.option(
    "--role", type=click.Choice(ROLES), default="developer", show_default=True, help="As what."
)
@connected
def add_member(api: "Api", team: str, email: str, role: str) -> None:
    """Add an account to a team, by its e-mail address."""
    path = f"/teams/{lookup.team_id(api, team)}/members"
    added = api.post(path, {"email": email, "role": role})
    output.note(f"{added['email']} is {added['role']} of {team} now.")


@members.command("role")
@team_argument
@email_argument
@click.argument("role", type=click.Choice(ROLES))
@connected
def change_role(api: "Api", team: str, email: str, role: str) -> None:
    """Change what a member is in a team."""
    path = f"/teams/{lookup.team_id(api, team)}/members"
    changed = api.put(f"{path}/{_member(api, path, email)}", {"role": role})
    output.note(f"{changed['email']} is {changed['role']} of {team} now.")


@members.command("rm")
@team_argument
@email_argument
@yes
@connected
def remove_member(api: "Api", team: str, email: str, yes: bool) -> None:
    """Take a member out of a team; what they have open of it is closed."""
    path = f"/teams/{lookup.team_id(api, team)}/members"
    found = _member(api, path, email)
    confirm(f"Remove {email} from {team}?", yes)
    api.delete(f"{path}/{found}")
    output.note(f"{email} is in {team} no more.")


def _member(api: "Api", path: str, email: str) -> str:
    """Return the account of a member. Raises: RefusedError where there is none of that address."""
    items: list[dict[str, Any]] = api.all(path, key=("user_id",))["items"]
    for item in items:
        if email.lower() in (item["email"], item["user_id"]):
            return str(item["user_id"])
    raise RefusedError(
        f"{email} is no member of the team.", "`vibebox members ls TEAM` lists the members."
    )
