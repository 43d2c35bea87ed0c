"""Something that lasts: the place that it takes, and whether it may go on."""

import select
from collections.abc import Callable
from types import TracebackType
from typing import Self

from app.admission.places import Place
from app.authorization import Access
from app.websockets.bell import Bell
from app.websockets.lookout import View


class Held:
    """Made by `Admission` only, for one thread, which closes it at the end.

    Whoever holds one asks `error` or waits with `wait`, or watches `bell`, and ends what it is for
    as soon as there is an error: `access` is not to be had any more, or nobody can tell.
    """

    def __init__(
        self, access: Access, view: View[bool], leave: Callable[[View[bool]], None], place: Place
    ) -> None:
        self.access = access
        self._view = view
        self._leave: Callable[[View[bool]], None] | None = leave
        self._place = place

    @property
    def bell(self) -> Bell:
        """Rings when there is an error; it is never hushed."""
        return self._view.bell

    @property
    def error(self) -> Exception | None:
        """Why it has to end; None while it may go on."""
        return self._view.error

    def check(self) -> None:
        """Return while it may go on. Raises: what ended it."""
        if self._view.error is not None:
            raise self._view.error

    def wait(self, seconds: float) -> None:
        """Wait so long, or until it has to end. Raises: what ended it."""
        poller = select.poll()
        poller.register(self.bell, select.POLLIN)
        poller.poll(max(0.0, seconds) * 1000)
        self.check()

    def close(self) -> None:
        """Give the place back and watch no more; closing again changes nothing."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave(self._view)
        self._place.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
