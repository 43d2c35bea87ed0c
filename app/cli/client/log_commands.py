"""`vibebox logs`: what an environment wrote, and what it writes."""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from app.cli import screen
from app.cli.client import lookup
from app.cli.client.errors import ClientError
from app.cli.client.options import connected
from app.cli.client.param_types import Moment
from app.cli.client.retry import PAUSE_SECONDS, Patience

if TYPE_CHECKING:
    from app.cli.client.api import Api

_PAGE = 1000
Lines = list[dict[str, Any]]


@click.command()
@lookup.environment
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option("--since", type=Moment(), help="Only lines since then: 10m, or a time (RFC 3339).")
@click.option("--stream", type=click.Choice(("stdout", "stderr")), help="Only one of the two.")
@click.option("--search", help="Only lines that contain this text, in capital or small letters.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("-t", "--timestamps", is_flag=True, help="Begin each line with its time.")
@click.option(
    "--raw", is_flag=True, help="Print on a terminal too what would steer it, as it was written."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@connected
def logs(
    api: "Api",
    environment: str,
    follow: bool,
    tail: int | None,
    timestamps: bool,
    raw: bool,
    as_json: bool,
    **search: str | None,
) -> None:
    """Print what an environment wrote to stdout and stderr.

    On a terminal its text and colours alone; into a file or a pipe as it was written.
    """
    from app.cli.client.api import one

    log = Log(api, f"{one(lookup.find(api, environment)['id'])}/logs", search)
    printer = Printer(timestamps=timestamps, raw=raw, as_json=as_json)
    printer.print(log.last(tail) if tail is not None else log.rest())
    patience = Patience(api.url)
    while follow:
        time.sleep(PAUSE_SECONDS)
        try:
            printer.print(log.rest())
        except ClientError as error:
            patience.bear(error)
        else:
            patience.over()


class Log:
    """The log of an environment, read onwards."""

    def __init__(self, api: "Api", path: str, search: dict[str, Any]) -> None:
        self._api = api
        self._path = path
        self._search = search
        self._cursor: str | None = None
        self._last = 0

    def rest(self) -> Iterator[Lines]:
        """Read what there is behind what was read. Raises: as `Api.get`."""
        more = True
        while more:
            page = self._api.get(
                self._path, **self._search, limit=_PAGE, order="asc", cursor=self._cursor
            )
            more = page["next_cursor"] is not None
            fresh = [item for item in page["items"] if int(item["id"]) > self._last]
            # Before the lines are printed: an error meanwhile must not print them twice.
            self._move(page["end_cursor"], fresh)
            yield fresh

    def last(self, count: int) -> Iterator[Lines]:
        """Read the last lines only, and go on behind them. Raises: as `Api.get`."""
        found: Lines = []
        cursor = None
        # One at least, since it is the place where to go on.
        while len(found) < max(1, count):
            page = self._api.get(
                self._path,
                **self._search,
                limit=min(_PAGE, max(1, count) - len(found)),
                order="desc",
                cursor=cursor,
            )
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        if found:
            self._go_behind(found[0])
        yield found[:count][::-1]

    def _go_behind(self, newest: dict[str, Any]) -> None:
        """Move to `newest`, which was read against the order, whose cursors are others.

        A line of its moment stands at it or before it, and so a cursor that skips nothing.
        """
        moment = f"{newest['at'][:26]}Z"  # to the microsecond, as the API reads it
        search = {**self._search, "since": moment}
        page = self._api.get(self._path, **search, limit=1, order="asc")
        self._move(page["end_cursor"], [newest])

    def _move(self, cursor: str | None, items: Lines) -> None:
        self._cursor = cursor
        if items:
            self._last = int(items[-1]["id"])


class Printer:
    """Prints lines; not by click, which would take colours out of what the container wrote."""

    def __init__(
        self, *, timestamps: bool = False, raw: bool = False, as_json: bool = False
    ) -> None:
        self._timestamps = timestamps
        self._as_json = as_json
        self._harmless = not raw and sys.stdout.isatty()
        self._write = screen.unguarded(sys.stdout) if raw else sys.stdout.write

    def print(self, pages: Iterator[Lines]) -> None:
        """Print the lines of pages as they come."""
        for lines in pages:
            for item in lines:
                self._write(f"{self._text(item)}\n")
            sys.stdout.flush()

    def _text(self, item: dict[str, Any]) -> str:
        if self._as_json:
            return screen.json_text(json.dumps(item, ensure_ascii=False))
        written = str(item["line"])
        if self._harmless:
            written = screen.line(written, colours=not os.environ.get("NO_COLOR"))
        return f"{item['at']} {written}" if self._timestamps else written
