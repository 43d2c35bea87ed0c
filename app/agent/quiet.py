"""Logs a trouble that lasts once when it begins and once when it ends."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from app.agent.leases import LeadershipLostError
from app.errors import EngineError, StorageError


class Quiet:
    """The troubles of one piece of work; `name` says whose."""

    def __init__(self, name: str, log: logging.Logger) -> None:
        self._name = name
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
            self._log.exception("work failed", extra={"work": self._name})
        else:
            self._succeed()

    @property
    def troubled(self) -> bool:
        """Whether the last attempt failed because something is down."""
        return self._trouble is not None

    def _fail(self, error: Exception) -> None:
        trouble = type(error).__name__
        if trouble != self._trouble:
            why = str(error.__cause__ or error)
            self._log.warning("work waits", extra={"work": self._name, "why": why})
        self._trouble = trouble

    def _succeed(self) -> None:
        if self._trouble is not None:
            self._log.info("work goes on", extra={"work": self._name})
        self._trouble = None
