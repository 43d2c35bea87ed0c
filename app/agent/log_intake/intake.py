"""Takes in what containers write, each line exactly once.

One thread per container reads, one stores. Nothing is kept here that the database and Docker's own
files do not have: a process that is killed costs nothing but a second reading of the last lines.
"""

import threading
import time
from collections.abc import Callable

from app.agent.log_intake.batches import Batches
from app.agent.log_intake.buffer import Buffer
from app.agent.log_intake.lines import Line
from app.agent.log_intake.positions import Position
from app.agent.log_intake.reader import Reader
from app.agent.log_intake.writer import Item, Writer
from app.domain.durable_counters import DurableCounters
from app.engine import Engine
from app.storage import Database
from app.storage.fence import Fence

# What is stored in one transaction at most, and how long a line may wait for others. Larger batches
# are hardly faster; a longer wait shows lines later.
_BATCH_LINES = 2000
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_SECONDS = 0.2


class LogIntake:
    """The intake of the process that leads; make it after fork, and close it at the end.

    When `fence` refuses a batch, all readers are dropped with what they have read. A container that
    is followed again later is read from its cursor, by whoever follows it.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        counts: DurableCounters,
        fence: Fence,
        is_certain: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare; threads begin with the first container that is followed.

        Args:
            database: Where lines go.
            engine: Where they come from.
            counts: Where their number is kept, in the same transaction.
            fence: Called first in the transaction of each batch; raises (anything but a
                StorageError) when this process does not lead any more.
            is_certain: Asked after a commit, before the metric follows. False when another leader
                may have begun, who then backfills what the metric lacks.
        """
        self._engine = engine
        self._batches = Batches(database, counts, fence, is_certain)
        self._buffer: Buffer[Item] = Buffer(
            most=_BATCH_LINES, most_bytes=_BATCH_BYTES, seconds=_BATCH_SECONDS
        )
        self._writer: Writer | None = None
        self._lock = threading.Lock()
        self._readers: dict[str, Reader] = {}
        self._asked_again: set[str] = set()
        self._closed = False

    def follow(self, environment_id: str, container_id: str) -> None:
        """Read the container from its cursor to its end; returns at once, and never fails.

        Call it for each container that runs or has ended, as often as you like: of one that is
        followed already it only makes sure that a new start is not missed.
        """
        with self._lock:
            if self._closed:
                return
            reader = self._readers.get(container_id)
            if reader is not None and not reader.stopping:
                self._asked_again.add(container_id)
                return
            if self._writer is None:
                self._writer = Writer(self._buffer, self._batches, self._drop_all)
                self._writer.start()
            reader = Reader(environment_id, container_id, self._engine, self)
            self._readers[container_id] = reader
            self._asked_again.discard(container_id)
            reader.start()

    def following(self) -> set[str]:
        """Return the containers that are being read, or whose last lines are not stored yet."""
        with self._lock:
            return {container for container, reader in self._readers.items() if not reader.dropped}

    def close(self, timeout: float = 3.0) -> None:
        """End the readers and store what they have read, as far as that goes in `timeout` seconds.

        What was not stored then is no loss: the cursor has not moved. A thread that hangs in the
        database or in Docker ends by itself, and the fence stands before what it may still want.
        """
        ends_at = time.monotonic() + timeout
        with self._lock:
            self._closed = True
            readers = list(self._readers.values())
        for reader in readers:
            reader.stop()
        for reader in readers:
            reader.join(_left(ends_at))
        self._buffer.close()
        if self._writer is not None:
            self._writer.join(_left(ends_at))

    def put(self, reader: Reader, line: Line) -> bool:
        """See `Sink`."""
        return self._buffer.put(reader, Item(reader, line), line.size, lambda: reader.stopping)

    def positions(self, container_id: str) -> dict[str, Position]:
        """See `Sink`."""
        return self._batches.positions(container_id)

    def may_end(self, reader: Reader) -> bool:
        """See `Sink`."""
        with self._lock:
            if reader.container_id in self._asked_again and not reader.stopping:
                self._asked_again.discard(reader.container_id)
                return False
            self._remove(reader)
            return True

    def forget(self, reader: Reader) -> None:
        """See `Sink`."""
        with self._lock:
            self._remove(reader)

    def _remove(self, reader: Reader) -> None:
        if self._readers.get(reader.container_id) is reader:
            del self._readers[reader.container_id]

    def _drop_all(self) -> None:
        with self._lock:
            readers = list(self._readers.values())
        for reader in readers:
            reader.drop()


def _left(ends_at: float) -> float:
    return max(0.0, ends_at - time.monotonic())
