"""Values that options take, in the forms that people type."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MEBIBYTES = {"": 1.0, "m": 1.0, "g": 1024.0}


class Duration(click.ParamType[timedelta]):
    """A span of time: 90s, 10m, 8h, 7d, 2w, or several of them, as in 1h30m.

    least, most: its bounds, where there are any, as they are typed.
    """

    name = "duration"

    def __init__(self, least: str | None = None, most: str | None = None) -> None:
        self._least, self._most = least, most

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        if isinstance(value, timedelta):
            return value
        parts = re.findall(r"(\d{1,6})([smhdw])", value.lower())
        if not parts or "".join(number + unit for number, unit in parts) != value.lower():
            self.fail(f"{value!r} is no span of time such as 90s, 10m, 8h or 7d.", param, ctx)
        span = timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in parts))
        if self._least and span < Duration().convert(self._least, param, ctx):
            self.fail(f"{value} is too short: enter {self._least} at least.", param, ctx)
        if self._most and span > Duration().convert(self._most, param, ctx):
            self.fail(f"{value} is too long: enter {self._most} at most.", param, ctx)
        return span


class Moment(click.ParamType[str]):
    """A moment, as a span of time before now or as RFC 3339; given to the API as the latter."""

    name = "moment"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if re.fullmatch(r"[\d smhdw]+", value.lower()) and not value.isdigit():
            return ahead(-Duration().convert(value, param, ctx))
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is neither a span (10m) nor a time such as 2026-01-31T12:00:00Z.",
                param,
                ctx,
            )
        return moment.astimezone(UTC).isoformat()  # without a zone it is this machine's


class Port(click.ParamType[dict[str, Any]]):
    """A port to publish: [HOST:]CONTAINER[/udp]."""

    name = "port"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        found = re.fullmatch(r"(?:(\d{1,5}):)?(\d{1,5})(?:/(tcp|udp))?", value)
        if found is None:
            self.fail(f"{value!r} is no port such as 8000, 18000:8000 or 5353/udp.", param, ctx)
        host, container, protocol = found.groups()
        return {
            "container_port": int(container),
            "host_port": int(host) if host else None,
            "protocol": protocol or "tcp",
        }


class Memory(click.ParamType[int]):
    """An amount of memory in MiB: 512, 512m or 2g."""

    name = "memory"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)(m|g|)(?:i?b)?", value.lower())
        if found is None:
            self.fail(f"{value!r} is no amount of memory such as 512m or 2g.", param, ctx)
        return round(float(found[1]) * _MEBIBYTES[found[2]])


class Variable(click.ParamType[tuple[str, str]]):
    """An environment variable: NAME=VALUE."""

    name = "variable"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, assigned, text = value.partition("=")
        if not name or not assigned:
            self.fail(f"{value!r} lacks a name or a value; write NAME=VALUE.", param, ctx)
        return name, text


def ahead(span: timedelta) -> str:
    """Return the moment so far from now, as the API takes it. Raises: BadParameter."""
    try:
        return (datetime.now(UTC) + span).isoformat()
    except OverflowError:
        raise click.BadParameter("that is further away than any calendar goes.") from None
