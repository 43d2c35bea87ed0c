"""Something that lasts: the place that it takes, and whether it may go on."""

import select
from contextlib import suppress
from time import monotonic
from typing import Self

from app.core.errors import VibeBoxError
from app.core.places import Place
from app.domain.authorization import Access
from app.web.websockets.polling_hub import PollingHub, View
from app.web.websockets.wakeup import Wakeup

# How long a look may take that is waited for.
_LOOK_SECONDS = 2.0
LEAST_RATE = 64 * 1024
"""Bytes a second that an upload has to make on average to keep its place from who has none."""
GRACE_SECONDS = 5.0
"""How long it has to show that it does."""


class Held:
    """Made by `Admission` only, for one thread, which closes it at the end.

    Whoever holds one asks `error` or waits with `wait`, or watches `wakeup`, and ends what it is
    for as soon as there is an error: `access` is not to be had any more, or nobody can tell.
    """

    def __init__(self, access: Access, view: View[bool], hub: PollingHub, place: Place) -> None:
        self.access = access
        self._view = view
        self._hub: PollingHub | None = hub
        self._place = place
        self._since = monotonic()
        self._came = 0.0
        self._ended: Exception | None = None

    @property
    def wakeup(self) -> Wakeup:
        """Set when there is an error, and not cleared from then on."""
        return self._view.wakeup

    @property
    def error(self) -> Exception | None:
        """Why it has to end; None while it may go on."""
        return self._view.error or self._ended

    @property
    def rate(self) -> float:
        """Bytes a second that came of an upload; more than enough as long as nobody can tell."""
        seconds = monotonic() - self._since
        return self._came / seconds if seconds >= GRACE_SECONDS else float("inf")

    def check(self) -> None:
        """Return while it may go on. Raises: what ended it."""
        if (error := self.error) is not None:
            raise error

    def came(self, number: int) -> None:
        """Note how many bytes of an upload have come in all. Raises: as `check`."""
        self._came = number
        self.check()

    def arrived(self) -> None:
        """Note that all of an upload has come: its client is not slow. Raises: as `check`."""
        self._came = float("inf")
        self.check()

    def give_way(self, error: Exception) -> None:
        """Have an upload end with `error` at its next check; its place is free at once."""
        self._ended = error
        self._place.close()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until it has to end. Raises: what ended it."""
        poller = select.poll()
        poller.register(self.wakeup, select.POLLIN)
        poller.poll(max(0.0, seconds) * 1000)
        self.check()

    def why(self, error: Exception) -> Exception:
        """Return why it ends that ended in `error`, having looked once more.

        Whose account is deleted finds their environment gone first; that is not what happened.
        """
        if self._hub is not None and isinstance(error, VibeBoxError) and error.status < 500:
            self._hub.hurry()
            with suppress(Exception):
                self.wait(_LOOK_SECONDS)
        return self.error or error

    def close(self) -> None:
        """Give the place back and watch no more; closing again changes nothing."""
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.leave(self._view)
        self._place.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()
