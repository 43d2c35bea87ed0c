"""`vibebox password`, `vibebox logins`: the account that is logged in, and where it is."""

import sys
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import output
from app.cli.client.lookup import by_id
from app.cli.client.options import as_json, connected

if TYPE_CHECKING:
    from app.cli.client.api import Api

_KINDS = {"console": "console", "api": "program"}


@click.command()
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the present password and the new one from standard input, a line each.",
)
@connected
def password(api: "Api", password_stdin: bool) -> None:
    """Change your password; your other logins end."""
    if password_stdin:
        old, new = (sys.stdin.readline().rstrip("\r\n") for _ in range(2))
    elif not sys.stdin.isatty():
        raise click.UsageError(
            "There is no terminal to ask for the passwords; use --password-stdin."
        )
    else:
        old = click.prompt("Present password", hide_input=True)
        new = click.prompt("New password", hide_input=True, confirmation_prompt=True)
    api.post("/auth/password", {"old_password": old, "new_password": new})
    output.note("Your password is changed; your other logins have ended.")


@click.group()
def logins() -> None:
    """List your logins, and end them."""


@logins.command("ls")
@as_json
@connected
def list_logins(api: "Api", as_json: bool) -> None:
    """List where you are logged in."""
    listed = api.all("/auth/logins")
    if as_json:
        output.document(listed)
        return
    rows = [
        (
            item["id"][:8],
            "this one" if item["current"] else _KINDS.get(item["kind"], ""),
            item["address"] or "",
            output.age(item["last_used_at"]),
            output.age(item["created_at"]),
            item["user_agent"] or "",
        )
        for item in listed["items"]
    ]
    output.table(("ID", "BY", "FROM", "USED", "AGE", "PROGRAM"), rows)


@logins.command("end")
@click.argument("login", metavar="ID", required=False)
@click.option("--others", is_flag=True, help="All but the one that asks.")
@connected
def end_login(api: "Api", login: str | None, others: bool) -> None:
    """End a login, by its id or the beginning of it; what it has open is closed."""
    if bool(login) == others:
        raise click.UsageError("Name a login, or say --others; `vibebox logins ls` lists them.")
    if others:
        api.delete("/auth/logins")
        output.note("All your other logins have ended.")
        return
    found = _named(api, str(login))
    api.delete(f"/auth/logins/{found['id']}")
    output.note("The login has ended.")


def _named(api: "Api", wanted: str) -> dict[str, Any]:
    items = api.all("/auth/logins")["items"]
    step = "`vibebox logins ls` lists them."
    return by_id(items, wanted, f"There is no one login {wanted!r} of yours.", step)
