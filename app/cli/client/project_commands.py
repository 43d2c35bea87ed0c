"""`vibebox projects`: what environments belong to."""

from typing import TYPE_CHECKING

import click

from app.cli.client import lookup, output
from app.cli.client.options import as_json, connected
from app.cli.client.team_commands import confirm, yes

if TYPE_CHECKING:
    from app.cli.client.api import Api

project_argument = click.argument("project", metavar="PROJECT")


@click.group()
def projects() -> None:
    """List, make, rename and delete projects."""


@projects.command("ls")
@as_json
@connected
def list_projects(api: "Api", as_json: bool) -> None:
    """List the projects that you see."""
    listed = api.all("/projects")
    if as_json:
        output.document(listed)
        return
    names = {item["id"]: item["name"] for item in api.all("/teams")["items"]}
    rows = [
        (
            item["name"],
            names.get(item["owner_team_id"], item["owner_team_id"]) or "you",
            output.age(item["created_at"]),
            item["id"],
        )
        for item in listed["items"]
    ]
    output.table(("NAME", "OWNER", "AGE", "ID"), rows)


@projects.command("create")
@click.argument("name")
@click.option("--team", help="Of a team, by name or id, instead of your own.")
@as_json
@connected
def create_project(api: "Api", name: str, team: str | None, as_json: bool) -> None:
    """Make the project NAME."""
    owner = {"team_id": lookup.team_id(api, team)} if team else {}
    made = api.post("/projects", {"name": name, **owner})
    if as_json:
        output.document(made)
    else:
        output.note(f"The project {made['name']} is made.")


@projects.command("rename")
@project_argument
@click.argument("name")
@connected
def rename_project(api: "Api", project: str, name: str) -> None:
    """Give a project another name."""
    changed = api.patch(f"/projects/{lookup.project_id(api, project)}", {"name": name})
    output.note(f"The project {project} is called {changed['name']} now.")


@projects.command("rm")
@project_argument
@yes
@connected
def remove_project(api: "Api", project: str, yes: bool) -> None:
    """Delete a project that holds no environments."""
    found = lookup.project_id(api, project)
    confirm(f"Delete the project {project}?", yes)
    api.delete(f"/projects/{found}")
    output.note(f"The project {project} is deleted.")
