"""`vibebox login`, `logout`, `whoami`: who the client is."""

import sys
from typing import TYPE_CHECKING

import click

from app.cli.client import output
from app.cli.client.errors import ProblemError, RefusedError
from app.cli.client.options import as_json, connected

if TYPE_CHECKING:
    from app.cli.client.api import Api

_WARNED_OF = "VIBEBOX_TOKEN is set, and the other commands use it instead of this login."


@click.command()
@click.option("--email", help="E-mail address of the account; asked for where it is left out.")
@click.option("--register", is_flag=True, help="Make the account first.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@connected
def login(api: "Api", email: str | None, register: bool, password_stdin: bool) -> None:
    """Log in, and keep the login for the other commands."""
    from app.cli.client.credentials import login_of

    if password_stdin:
        if email is None:
            raise click.UsageError("--password-stdin needs --email as well.")
        password = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise click.UsageError(
            "There is no terminal to ask for the password; use --password-stdin with --email."
        )
    else:
        email = email or click.prompt("E-mail address")
        password = click.prompt("Password", hide_input=True, confirmation_prompt=register)
    credentials = {"email": email, "password": password}
    if register:
        api.anonymous("POST", "/auth/register", credentials)
    pair = api.anonymous("POST", "/auth/login", credentials)
    with api.store.locked():
        api.store.put(api.url, login_of(str(email), pair))
    output.note(f"Logged in at {api.url} as {email}.")
    if api.key:
        output.note(_WARNED_OF)


@click.command()
@connected
def logout(api: "Api") -> None:
    """End the login, here and at the service."""
    from app.cli.client.credentials import LoginBearer

    if not isinstance(api.bearer, LoginBearer):
        raise click.UsageError("VIBEBOX_TOKEN is set; `vibebox token revoke` ends an API key.")
    if api.store.get(api.url) is None:
        output.note(f"You are not logged in at {api.url}.")
        return
    try:
        api.post("/auth/logout")
    except ProblemError as error:
        if error.status != 401:
            raise
    except RefusedError:
        pass  # It is over already.
    with api.store.locked():
        api.store.put(api.url, None)
    output.note(f"Logged out at {api.url}.")


@click.command()
@as_json
@connected
def whoami(api: "Api", as_json: bool) -> None:
    """Show which account the commands use."""
    account = api.get("/auth/me")
    if as_json:
        output.document(account)
        return
    output.pairs(
        {
            "Account": account["email"],
            "Id": account["id"],
            "Since": account["created_at"],
            "Service": api.url,
            "By": "the API key in VIBEBOX_TOKEN" if api.key else f"the login in {api.store.file}",
        }
    )
