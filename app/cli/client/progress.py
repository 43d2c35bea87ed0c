"""Waiting for a start whose image is pulled first, with its progress on standard error.

The service tells it as events. Where it has no thread to spare for that, or is away for a moment,
the environment is looked at once a second instead.
"""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import click

from app.cli.client import output, service
from app.cli.client.errors import ClientError, ProblemError
from app.cli.client.retry import PAUSE_SECONDS, Patience

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from app.cli.client.api import Api

_PASSAGES = ("starting", "stopping")
_STEP = 25
"""Without a terminal, each so many percent is a line."""
_QUIET_SECONDS = 15.0


def watched(api: "Api", environment: dict[str, Any]) -> dict[str, Any]:
    """Return the environment once it starts no more. Raises: as `Api.get`."""
    from app.cli.client.api import one

    path = one(environment["id"])
    patience = Patience(api.url)
    streams = True
    with Progress(environment["image"], lambda: service.lacks_agent(api)) as progress:
        while True:
            try:
                if streams:
                    _show_events(api, path, progress)
            except ProblemError as error:
                if not error.passing:
                    raise
                streams = False
            except ClientError as error:
                progress.interrupt()
                patience.bear(error)
            try:
                environment = api.get(path)
            except ClientError as error:
                progress.interrupt()
                patience.bear(error)
                continue
            patience.over()
            if environment["status"] not in _PASSAGES:
                if environment["status"] == "running":
                    progress.finish()
                return environment
            progress.show(environment["pull_progress"])
            time.sleep(PAUSE_SECONDS)


def _show_events(api: "Api", path: str, progress: "Progress") -> None:
    """Show what the service tells, until the start is over or it tells no more."""
    for name, data in api.events(f"{path}/events"):
        if name == "pull":
            progress.show(data)
        elif name != "status" or data["status"] not in _PASSAGES:
            return  # its end, or the stream's: the environment is looked at next


class Progress:
    """A bar on a terminal; elsewhere a line now and then."""

    def __init__(self, image: str, lacks_agent: Callable[[], bool]) -> None:
        self._lacks_agent = lacks_agent
        self._image = output.plain(image)
        self._stack = ExitStack()
        self._bar: ProgressBar[str | None] | None = None
        self._percent = 0.0
        self._told = -_STEP
        self._begun = time.monotonic()
        self._hinted = False

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            bar = click.progressbar(
                length=100,
                label=f"Pulling {self._image}",
                item_show_func=lambda sizes: sizes,
                show_eta=False,
                file=sys.stderr,
            )
            self._bar = self._stack.enter_context(bar)
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.close()

    def show(self, pull: dict[str, Any] | None) -> None:
        """Show how far a pull is; it goes back where the size of another layer becomes known."""
        if pull is None:
            return
        self._hint(pull)
        self._percent = pull["percent"]
        done, total = output.size(pull["bytes_done"]), output.size(pull["bytes_total"])
        sizes = f"{done} of {total}" if pull["bytes_total"] else "waiting"
        if self._bar is not None:
            self._draw(self._bar, int(self._percent), sizes)
        elif self._percent >= self._told + _STEP:
            self._told = int(self._percent) // _STEP * _STEP
            output.note(f"Pulling {self._image}: {self._percent:.0f} %, {sizes}")

    def finish(self) -> None:
        """Show that the image is there."""
        if self._bar is not None:
            self._draw(self._bar, 100, None)
        elif 0 <= self._told < 100:
            output.note(f"Pulling {self._image}: 100 %")

    def interrupt(self) -> None:
        """End the line of the bar, since another one follows."""
        if self._bar is not None:
            output.note("")

    def _draw(self, bar: "ProgressBar[str | None]", percent: int, sizes: str | None) -> None:
        # Not by `update`, which draws nothing for a step of zero or back.
        bar.pos, bar.current_item = percent, sizes
        bar.render_progress()

    def _hint(self, pull: dict[str, Any]) -> None:
        quiet = time.monotonic() - self._begun > _QUIET_SECONDS and not pull["bytes_total"]
        if quiet and not self._hinted:
            self._hinted = True
            self.interrupt()
            waits = "Nothing arrives yet: the registry is slow, or other pulls come first."
            output.note(service.NO_AGENT if self._lacks_agent() else waits)
