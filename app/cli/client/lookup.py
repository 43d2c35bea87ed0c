"""Which environment or project somebody means who types a name."""

from typing import TYPE_CHECKING, Any

import click

from app.cli.client.errors import ClientError, RefusedError
from app.cli.client.options import open_api, url_of

if TYPE_CHECKING:
    from app.cli.client.api import Api

COMPLETION_SECONDS = 1.0
"""Who waits at a prompt waits no longer."""

_ID_LENGTH = 36
# Shorter ones are more likely a mistyped name.
_SHORTEST_PREFIX = 4


def _completed(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the environments whose names begin so; none where anything at all goes wrong."""
    try:
        with open_api(url_of(context), COMPLETION_SECONDS, hasty=True) as api:
            names = {item["name"] for item in api.get("/environments", limit=100)["items"]}
    except Exception:
        # It would be printed over what somebody is typing.
        return []
    return sorted(name for name in names if name.startswith(incomplete))


environment = click.argument("environment", metavar="NAME|ID", shell_complete=_completed)


def find(api: "Api", wanted: str) -> dict[str, Any]:
    """Return the environment of that name, `project/name`, id, or beginning of an id.

    Raises: RefusedError where there is none or more than one, and what the API raises.
    """
    from app.cli.client.api import one

    if len(wanted) == _ID_LENGTH:
        found: dict[str, Any] = api.get(one(wanted))
        return found
    project, slash, name = wanted.rpartition("/")
    items = api.all("/environments")["items"]
    projects = project_names(api) if slash else {}
    matching = [
        item
        for item in items
        if item["name"] == name and (not slash or projects.get(item["project_id"]) == project)
    ]
    if not matching and len(wanted) >= _SHORTEST_PREFIX:
        matching = [item for item in items if item["id"].startswith(wanted)]
    if len(matching) > 1:
        raise _ambiguous(wanted, matching, projects or project_names(api))
    if not matching:
        raise RefusedError(
            f"There is no environment {wanted!r} that you see at {api.url}.",
            "`vibebox ls` lists the environments.",
        )
    return matching[0]  # type: ignore[no-any-return]


def by_id(items: list[dict[str, Any]], wanted: str, missing: str, step: str) -> dict[str, Any]:
    """Return the item of that id, or beginning of an id.

    Raises: RefusedError (`missing`, and the next `step`) where there is none, or more than one.
    """
    found = [item for item in items if item["id"].startswith(wanted)]
    if len(wanted) < _SHORTEST_PREFIX or len(found) != 1:
        raise RefusedError(missing, step)
    return found[0]


def _ambiguous(
    wanted: str, matching: list[dict[str, Any]], projects: dict[str, str]
) -> ClientError:
    lines = [
        f"  {projects.get(item['project_id'], item['project_id'])}/{item['name']}  {item['id']}"
        for item in matching
    ]
    return RefusedError(
        "\n".join([f"{wanted!r} may be any of these:", *lines]),
        "Name it as PROJECT/NAME or by its id.",
    )


def project_names(api: "Api") -> dict[str, str]:
    """Return the names of all projects by their ids. Raises: as `Api.get`."""
    return {item["id"]: item["name"] for item in api.all("/projects")["items"]}


def project_id(api: "Api", wanted: str) -> str:
    """Return the id of a project, by its name or id. Raises: RefusedError, as `Api.get`."""
    return _by_name(api.all("/projects")["items"], wanted, "project")


def team_id(api: "Api", wanted: str) -> str:
    """Return the id of a team, by its name or id. Raises: RefusedError, as `Api.get`."""
    return _by_name(api.all("/teams")["items"], wanted, "team")


def _by_name(items: list[dict[str, Any]], wanted: str, kind: str) -> str:
    matching = [item["id"] for item in items if wanted in (item["name"], item["id"])]
    if len(matching) > 1:
        raise RefusedError(
            f"Several {kind}s are called {wanted!r}: {', '.join(matching)}.", "Name it by its id."
        )
    if not matching:
        raise RefusedError(
            f"There is no {kind} {wanted!r} that you see.", f"`vibebox {kind}s ls` lists them."
        )
    return str(matching[0])
