"""Values that people type, and what they mean."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from app.cli.client.param_types import Duration, Memory, Moment, Port, Variable


def tcp(container: int, host: int | None = None) -> dict[str, Any]:
    return {"container_port": container, "host_port": host, "protocol": "tcp"}


@pytest.mark.parametrize(
    ("kind", "typed", "meant"),
    [
        (Duration, "90s", timedelta(seconds=90)),
        (Duration, "10m", timedelta(minutes=10)),
        (Duration, "1h30m", timedelta(minutes=90)),
        (Duration, "7D", timedelta(days=7)),
        (Duration, "2w", timedelta(weeks=2)),
        (Port, "8000", tcp(8000)),
        (Port, "18000:8000", tcp(8000, 18000)),
        (Port, "8000/tcp", tcp(8000)),
        (Port, "5353:53/udp", {"container_port": 53, "host_port": 5353, "protocol": "udp"}),
        (Memory, "512", 512),
        (Memory, "512m", 512),
        (Memory, "512MiB", 512),
        (Memory, "2g", 2048),
        (Memory, "1.5G", 1536),
        (Variable, "A=b", ("A", "b")),
        (Variable, "A=b=c", ("A", "b=c")),
        (Variable, "A=", ("A", "")),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_meaning(kind: type[click.ParamType[Any]], typed: str, meant: object) -> None:
    assert kind().convert(typed, None, None) == meant


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        (Duration, ""),
        (Duration, "10"),
        (Duration, "m"),
        (Duration, "10x"),
        (Duration, "-10m"),
        (Duration, "10m "),
        (Moment, "yesterday"),
        (Moment, "10x"),
        (Moment, "999999w"),
        (Port, "web"),
        (Port, "1:2:3"),
        (Port, ":80"),
        (Port, "80/sctp"),
        (Memory, "much"),
        (Memory, "-1"),
        (Memory, "1t"),
        (Variable, "A"),
        (Variable, "=b"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_nonsense_is_refused_in_words(kind: type[click.ParamType[Any]], typed: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        kind().convert(typed, None, None)

    assert caught.value.message.endswith(".")


def test_moment_as_a_span_is_so_long_ago() -> None:
    before = datetime.now(UTC)
    found = datetime.fromisoformat(Moment().convert("10m", None, None))

    assert before <= found + timedelta(minutes=10) <= datetime.now(UTC)


@pytest.mark.parametrize("typed", ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00"])
def test_moment_as_a_time_is_that_time(typed: str) -> None:
    assert Moment().convert(typed, None, None) == "2026-01-31T12:00:00+00:00"
