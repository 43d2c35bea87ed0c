"""Names of environment variables that begin as our settings do, and what each of them is.

A mistyped setting would be ignored in silence, so a name that nobody knows refuses the start. Three
kinds are known beside the settings: those of the client, those that Kubernetes puts into every Pod
beside a Service whose name begins with "vibebox", and those that a release has retired.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

PREFIX = "VIBEBOX_"
CLIENT_VARIABLES = ("VIBEBOX_URL", "VIBEBOX_TOKEN")
"""What the client reads (`app.cli.client`): no settings, but no mistakes beside them either."""


class Retired(NamedTuple):
    """A setting of an earlier release: `now` takes its value, None where nothing does."""

    now: str | None
    why: str


RETIRED: dict[str, Retired] = {}
"""Every setting that was ever released and is none any more: it stays accepted, with a warning."""

# Kubernetes, "Accessing the Service", environment variables; and those of Docker links, which it
# copies. The value tells {SVCNAME}_PORT from a setting that somebody took for ours.
_SERVICE_VARIABLE = re.compile(
    rf"{PREFIX}([A-Z0-9_]+_)?"
    r"(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_PORT = re.compile(rf"{PREFIX}([A-Z0-9_]+_)?PORT")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://[0-9A-Fa-f.:\[\]]+:[0-9]+")


def is_service_variable(name: str, value: str) -> bool:
    """Tell whether the variable is one of those that Kubernetes makes of a Service."""
    if _SERVICE_VARIABLE.fullmatch(name):
        return True
    return bool(_SERVICE_PORT.fullmatch(name) and _SERVICE_ADDRESS.fullmatch(value))


def mistakes(environment: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Return a sentence for each name that begins as ours do and that nobody knows."""
    names = {name.removeprefix(PREFIX): name for name in known}
    found = []
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name in (*known, *CLIENT_VARIABLES, *RETIRED):
            continue
        if not is_service_variable(name, value):
            near = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1)
            hint = f"; did you mean {names[near[0]]}?" if near else ""
            found.append(f"{name}: there is no such setting{hint}")
    return found


def values(environment: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Return the value of each setting that has one; an empty value is none.

    Names count in capitals, as they are documented, before those in other letters. A retired name
    gives its value to the one that took its place, unless that has one of its own.
    """
    by_name = {name.upper(): value for name, value in environment.items()} | dict(environment)
    given = {name: by_name[name] for name in known if by_name.get(name)}
    for name, retired in RETIRED.items():
        if retired.now is not None and by_name.get(name):
            given.setdefault(retired.now, by_name[name])
    return {name: value for name, value in given.items() if not is_service_variable(name, value)}


def warnings(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each retired name that has a value."""
    return [
        f"{name} is no setting any more: {retired.why}"
        for name, retired in RETIRED.items()
        if environment.get(name)
    ]
