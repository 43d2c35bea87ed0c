"""Stores what the readers bring, in a thread of its own, until it is stored."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from app.agent.log_intake.batches import Batches, FencedError, Portion
from app.agent.log_intake.buffer import Buffer
from app.agent.log_intake.lines import Line
from app.agent.log_intake.positions import after
from app.agent.log_intake.reader import Reader
from app.core.errors import StorageUnavailableError
from app.core.isolation import Loop, failed
from app.core.trace_context import task

_log = logging.getLogger(__name__)

# Seconds between two attempts while the database is away.
_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


class Item(NamedTuple):
    """A line, and who read it."""

    reader: Reader
    line: Line


class Writer:
    """Takes batches out of the buffer; one thread, so that lines are stored in their order."""

    def __init__(self, buffer: Buffer[Item], batches: Batches, fenced: Callable[[], None]) -> None:
        """Prepare to store; `fenced` is called when another process leads."""
        self._buffer = buffer
        self._batches = batches
        self._fenced = fenced
        self._giving_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logs-writer", daemon=True)

    def start(self) -> None:
        """Begin to store."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until everything is stored, but no longer than that, and give the rest up."""
        self._thread.join(seconds)
        self._giving_up.set()

    def _run(self) -> None:
        while batch := self._buffer.take():
            lines: dict[Reader, list[Line]] = {}
            for reader, line in batch:
                if not reader.dropped:
                    lines.setdefault(reader, []).append(line)
            try:
                self._store(lines)
            except FencedError:
                _log.info("log lines left to another leader")
                self._fenced()
            except Exception as error:
                # The lines stay in Docker's file, and the cursor before them.
                _report(error, lines)
                _drop(lines)

    def _store(self, lines: dict[Reader, list[Line]]) -> None:
        """Store the lines; where that fails for a reason of their own, each reader's for itself."""
        try:
            self._persist(lines)
        except FencedError:
            raise
        except Exception:
            if len(lines) < 2:
                raise
            for reader, own in lines.items():
                self._store_apart(reader, own)

    def _store_apart(self, reader: Reader, lines: list[Line]) -> None:
        try:
            self._persist({reader: lines})
        except FencedError:
            raise
        except Exception as error:
            _report(error, [reader])
            reader.drop()

    def _persist(self, lines: dict[Reader, list[Line]]) -> None:
        """Store the lines, over and over while the database is away."""
        portions = {_portion(reader, own): reader for reader, own in lines.items()}
        pause = _PAUSE
        while portions and not self._giving_up.is_set():
            try:
                with task(Loop.LOG_INTAKE):
                    outcome = self._batches.store(list(portions))
            except StorageUnavailableError:
                if pause == _PAUSE:
                    _log.warning("log lines wait for the database")
                self._giving_up.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            for portion in outcome.stored:
                portions[portion].stored = dict(portion.after)
            _drop(portions[portion] for portion in outcome.refused)
            return


def _portion(reader: Reader, lines: Sequence[Line]) -> Portion:
    positions = dict(reader.stored)
    for line in lines:
        positions[line.stream] = after(positions.get(line.stream), line.at_ns)
    return Portion(
        reader.environment_id, reader.container_id, lines, dict(reader.stored), positions
    )


def _report(error: Exception, readers: Iterable[Reader]) -> None:
    """Count and log what went wrong; what containers write is in the text of database errors."""
    failed(Loop.LOG_INTAKE)
    containers = [reader.container_id for reader in readers]
    if isinstance(error, SQLAlchemyError):
        why = {"why": type(error).__name__}
        _log.error("log lines not stored", extra={"containers": containers, **why})
    else:
        _log.exception("log lines not stored", extra={"containers": containers})


def _drop(readers: Iterable[Reader]) -> None:
    """End readers whose lines cannot be stored: whoever follows the container again starts anew."""
    for reader in readers:
        _log.info("log let go", extra={"container": reader.container_id})
        reader.drop()
