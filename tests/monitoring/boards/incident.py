"""What goes wrong in the pictures of the dashboards, under the rules that are shipped."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import requests
import yaml

from app.domain.business.journey import SUMS, WITHIN
from tests.end_to_end.alerts import scaling
from tests.end_to_end.families import agents
from tests.end_to_end.families.failures import trip_over_the_schema
from tests.end_to_end.families.stack import Stack
from tests.monitoring.boards.known import RULES

FACTOR = 12
"""What durations of rules are divided by: 5 minutes are 25 seconds, which have scrapes enough."""
_FILES = ("recording", "slo", "alerts")
_BETWEEN, _HUNG = 15, 45
"""Seconds between two things that happen, and of the last one."""
_PEOPLE = {"open": 120, "invitation": 60, "first": 1, "command_line": 12}
_SHARES = {"environment": 0.8, "started": 0.75, "terminal": 0.5, "vscode": 0.4, "shell": 0.66}
_AT_LAST = {"second_week": 0.4, "then_started": 0.7, "then_shell": 0.6, "then_second_week": 0.3}


def rules(directory: Path) -> list[str]:
    """Write the rules that are shipped, with their durations divided; return the files."""
    written = []
    for name in _FILES:
        document = yaml.safe_load((RULES / f"{name}.yml").read_text())
        file = directory / f"divided-{name}.yml"
        file.write_text(yaml.safe_dump(scaling.rules(document, FACTOR)))
        written.append(str(file))
    return written


def happens(stack: Stack) -> float:
    """Let a worker die and the server restart, a container run short of memory, and Docker hang.

    Return when Docker had hung for a while, and people would look: in seconds since 1970.
    """
    # Whoever is connected may be reset.
    os.kill(stack.server.worker_pids()[0], signal.SIGKILL)
    time.sleep(_BETWEEN)
    stack.server.terminate()
    stack.server.start()
    _repeat(lambda: agents.type_into(stack, "echo again; echo err >&2"), _BETWEEN)
    _inside(stack, "tail /dev/zero")
    time.sleep(_BETWEEN)
    stack.engine.suspend()
    try:
        _repeat(lambda: _suffer(stack), _HUNG)
        return time.time()
    finally:
        stack.engine.resume()


def more_sign_up(stack: Stack) -> None:
    """Have some of the accounts come in the time that the pictures show."""
    stack.sql("UPDATE business_totals SET signed_up = signed_up + 9 WHERE way = 'open'")
    stack.sql("UPDATE business_totals SET signed_up = signed_up + 4 WHERE way = 'invitation'")


def _suffer(stack: Stack) -> None:
    trip_over_the_schema(stack)
    stack.api.ask("GET", "/health/ready")


def _inside(stack: Stack, command: str) -> None:
    """Run a command in the team's container, whose shell never looks up."""
    container = agents.container(stack, "team's")
    made = stack.raw.exec_create(container, ["sh", "-c", command])
    stack.raw.exec_start(made["Id"], detach=True)


def tell(stack: Stack) -> None:
    """Write a line into the log of the team's container."""
    _inside(stack, "echo built >/proc/1/fd/1")


def _repeat(act: Callable[[], object], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(requests.RequestException):
            act()
        time.sleep(1)


def make_up_sign_ups(stack: Stack) -> None:
    """Have accounts and days of the past, which the leading agent would have counted."""
    within = {f"shell_within_{seconds}": 0.1 + 0.08 * n for n, seconds in enumerate(WITHIN)}
    shares = {"signed_up": 1.0, **_SHARES, **_AT_LAST, **within, "shell_us": 2e9}
    for way, people in _PEOPLE.items():
        values = ", ".join(str(round(people * shares[name])) for name in SUMS)
        stack.sql(
            f"INSERT INTO business_totals (way, {', '.join(SUMS)}) VALUES ('{way}', {values}) "
            "ON CONFLICT (way) DO NOTHING"
        )
    stack.sql(
        "INSERT INTO business_days (day, finished, active_1, active_7, active_30, "
        "second_week_over, returned) VALUES (CURRENT_DATE - 1, true, 31, 78, 140, 150, 61) "
        "ON CONFLICT (day) DO NOTHING"
    )
