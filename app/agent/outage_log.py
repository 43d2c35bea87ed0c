"""Logs a trouble that lasts once when it begins and once when it ends."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import EngineError, LeadershipLostError, StorageError
from app.core.isolation import OUTAGES, Loop, failed, reason


class OutageLog:
    """The troubles of one loop as a whole."""

    def __init__(self, loop: Loop, log: logging.Logger) -> None:
        self._loop = loop
        self._log = log
        self._trouble: str | None = None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Do the work once: what is down passes silently the second time, a bug never.

        Raises: LeadershipLostError only.
        """
        try:
            yield
        except LeadershipLostError:
            raise
        except (EngineError, StorageError) as error:
            self._fail(error)
        except Exception:
            failed(self._loop)
            self._log.exception("work failed", extra={"work": self._loop})
        else:
            self._succeed()

    @property
    def troubled(self) -> bool:
        """Whether the last attempt failed because something is down."""
        return self._trouble is not None

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, OUTAGES):
            failed(self._loop)
        trouble = type(error).__name__
        if trouble != self._trouble:
            self._log.warning("work waits", extra={"work": self._loop, "why": reason(error)})
        self._trouble = trouble

    def _succeed(self) -> None:
        if self._trouble is not None:
            self._log.info("work goes on", extra={"work": self._loop})
        self._trouble = None
