"""What the commands of the client have in common: where the service is, and how to print."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from app.cli.client.api import Api

DEFAULT_URL = "http://127.0.0.1:3000"
Command = TypeVar("Command", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print the API's JSON instead.")


def _chosen(context: click.Context, option: click.Parameter, value: str) -> str:
    """Return the address; a command of a group takes that of the group where it has none."""
    from click.core import ParameterSource

    inherited = context.parent.params.get("url") if context.parent else None
    if inherited and context.get_parameter_source(option.name or "") is ParameterSource.DEFAULT:
        return str(inherited)
    return normal_url(value)


def normal_url(value: str) -> str:
    """Return the address as logins are stored by it. Raises: BadParameter."""
    parts = urlsplit(value.strip())
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable or parts.query or parts.fragment or "@" in parts.netloc:
        raise click.BadParameter("name it as http://HOST:PORT or https://HOST.")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


url = click.option(
    "--url",
    envvar="VIBEBOX_URL",
    default=DEFAULT_URL,
    show_default=True,
    show_envvar=True,
    callback=_chosen,
    # Read before the arguments, whose completion asks there.
    is_eager=True,
    help="Address of the service.",
)


def url_of(context: click.Context) -> str:
    """Return the address that a command line being typed names. Raises: BadParameter."""
    return normal_url(str(context.params.get("url") or DEFAULT_URL))


def connected(function: Callable[..., None]) -> Callable[..., None]:
    """Give the command an option --url, and as first argument the API there."""

    @url
    @functools.wraps(function)
    def command(url: str, **parameters: Any) -> None:
        with open_api(url) as api:
            function(api, **parameters)

    return command


def open_api(address: str, seconds: float | None = None, *, hasty: bool = False) -> "Api":
    """Return the API at an address, with the key of VIBEBOX_TOKEN or the stored login."""
    import os

    from app.cli.client.api import Api

    return Api(address, os.environ.get("VIBEBOX_TOKEN", "").strip() or None, seconds, hasty)
