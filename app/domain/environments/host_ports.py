"""Which ports of the host environments may have: never one of VibeBox or of what belongs to it.

A container that had such a port while its owner restarts would answer in that one's name, and keep
it from starting again. What counts is the number alone, whatever the protocol and the address: two
addresses of a host are one to most who connect.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import make_url

from app.core.addresses import port_of
from app.core.errors import InvalidInputError, PortReservedError
from app.core.setting_values import PortRange, ports
from app.core.settings import Settings
from app.engine import PortBinding

DEFAULT_PORTS = {"postgresql": 5432, "redis": 6379, "rediss": 6379, "http": 80, "https": 443}
# From where Docker picks, if its host is as the kernel has it by default.
_EPHEMERAL: PortRange = (32768, 60999)


@dataclass(frozen=True)
class HostPorts:
    """The ports that environments may have: those of `ranges` but for `ours`.

    `ours` says of each port whose it is.
    """

    ranges: tuple[PortRange, ...] = ((1024, 65535),)
    ours: Mapping[int, str] = field(default_factory=dict)

    def refusal(self, port: int) -> str | None:
        """Return why no environment gets this port, as the end of a sentence; None if one may."""
        if port in self.ours:
            return f"is {self.ours[port]}"
        if not any(first <= port <= last for first, last in self.ranges):
            return f"is none of {self.shown} (VIBEBOX_HOST_PORTS)"
        return None

    def refuse(
        self, wanted: Sequence[Mapping[str, Any]], before: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Refuse host ports that are named and that no environment gets.

        `before` are the ports that it has: one that is none of ours it keeps.
        Raises: InvalidInputError.
        """
        kept = {port["host_port"] for port in before} - set(self.ours)
        errors = []
        for index, port in enumerate(wanted):
            number = port["host_port"]
            reason = None if number is None or number in kept else self.refusal(number)
            if reason is not None:
                message = f"The host port {number} {reason}; choose another one, or leave it out."
                errors.append({"field": f"ports.{index}.host_port", "message": message})
        if errors:
            raise InvalidInputError(errors)

    def refuse_ours(self, named: Iterable[Mapping[str, Any]]) -> None:
        """Raise PortReservedError where one of ours is among ports of a record.

        Of before it was ours, or before there was this rule.
        """
        for port in named:
            if port["host_port"] in self.ours:
                raise PortReservedError(
                    f"The host port {port['host_port']} {self.refusal(port['host_port'])}; change "
                    "the ports of the environment, or leave host_port out and Docker picks one."
                )

    def wrongly_picked(
        self, named: Iterable[Mapping[str, Any]], published: Iterable[PortBinding]
    ) -> str | None:
        """Return what is wrong with a port that Docker picked, None where nothing is."""
        chosen = {(port["container_port"], port["protocol"]) for port in named if port["host_port"]}
        for port in published:
            if port.host_port and (port.container_port, port.protocol) not in chosen:
                reason = self.refusal(port.host_port)
                if reason is not None:
                    return f"host port {port.host_port}, which {reason}"
        return None

    def may_pick_another(self, named: Iterable[Mapping[str, Any]]) -> bool:
        """Tell whether another start may find free what was taken: Docker picks from our range."""
        return self.picked_from is not None and any(not port["host_port"] for port in named)

    @property
    def shown(self) -> str:
        """The ranges, as the setting has them."""
        return ",".join(
            str(first) if first == last else f"{first}-{last}" for first, last in self.ranges
        )

    @property
    def picked_from(self) -> PortRange | None:
        """Where Docker is to pick where no port is named: of several ranges, the largest.

        None leaves the choice to Docker, which then also tries again where a port is taken.
        """
        first, last = _EPHEMERAL
        if any(start <= first and last <= end for start, end in self.ranges):
            return None
        return max(self._free(), key=lambda it: it[1] - it[0], default=None)

    def _free(self) -> list[PortRange]:
        free = []
        for first, last in self.ranges:
            for port in sorted(port for port in self.ours if first <= port <= last):
                if first < port:
                    free.append((first, port - 1))
                first = port + 1
            if first <= last:
                free.append((first, last))
        return free


def host_ports(settings: Settings) -> HostPorts:
    """Return what the settings leave to environments."""
    reserved = dict.fromkeys(
        ports(settings.reserved_ports), "reserved by the operator (VIBEBOX_RESERVED_PORTS)"
    )
    return HostPorts(settings.host_port_ranges, {**reserved, **_of_settings(settings)})


def _of_settings(settings: Settings) -> dict[int, str]:
    """Return the ports of VibeBox, and of what its settings name."""
    database = make_url(settings.database_url)
    found: dict[int, str] = {}
    for url, whose in (
        (settings.rate_limit_storage, "Redis' (VIBEBOX_RATE_LIMIT_STORAGE)"),
        (settings.prometheus_url, "Prometheus' (VIBEBOX_PROMETHEUS_URL)"),
        (settings.docker_host, "Docker's (DOCKER_HOST)"),
    ):
        port = port_of(urlsplit(url or ""), DEFAULT_PORTS)
        if port is not None:
            found[port] = whose
    if database.get_backend_name() != "sqlite":
        found[database.port or DEFAULT_PORTS["postgresql"]] = "the database's (DATABASE_URL)"
    for port in (settings.port, *_bound(settings.gunicorn_cmd_args)):
        found[port] = "VibeBox's own"
    return found


def _bound(arguments: str) -> list[int]:
    """Return the ports that gunicorn is told to listen on."""
    if not arguments.strip():
        return []
    # Where there are none, processes other than the web server do without gunicorn.
    from gunicorn.config import Config

    # gunicorn refuses bad arguments itself, at its own start: here they print and end nothing.
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            told, _ = Config().parser().parse_known_args(shlex.split(arguments))
    except (ValueError, SystemExit):
        return []
    return [port for value in told.bind or () for port in _ports_of(value)]


def _ports_of(address: str) -> list[int]:
    from gunicorn.util import parse_address

    try:
        parsed = parse_address(address.strip())
        alone = [int(address)] if address.strip().isdecimal() else []
    except (RuntimeError, ValueError):
        return []
    # Else the path of a socket, or a descriptor.
    return [*alone, parsed[1]] if isinstance(parsed, tuple) else alone
