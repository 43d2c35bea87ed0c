"""Answers that go on for as long as the engine has something to say.

A stream has a connection of its own. The deadline of a call covers its establishment only; then
silence is normal, and an engine that hangs looks the same as one that has nothing to say. So after
some silence the engine is asked on another connection whether it still answers (`LivenessProbe`).
`close` shuts the socket down, which wakes whoever waits for it, whatever the engine does.
"""

import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from typing import Generic, Protocol, Self, TypeVar

from app.core.errors import EngineError, EngineTimeoutError, EngineUnreachableError
from app.engine.translation import connection_lost
from app.engine.transport import DeadlineSocket, shut_down

_CHUNK = 64 * 1024

# How long the engine may take to answer a probe, and how many it may miss in a row before a stream
# gives it up. Less takes a busy engine for a hung one; more notices a hung one later.
_PROBE_SECONDS = 1.0
_PROBES = 3
_BETWEEN_PROBES = 0.1

T = TypeVar("T")


class Decoder(Protocol[T]):
    """Makes values of bytes; `feed` raises EngineError for bytes it does not understand."""

    def feed(self, data: bytes) -> list[T]: ...


class LivenessProbe:
    """Whether the engine still answers: one probe serves all streams that ask within `silence`."""

    def __init__(self, ping: Callable[[float], None], silence: float) -> None:
        self.silence = silence
        self._ping = ping
        self._felt_at = time.monotonic()

    def check(self) -> None:
        """Return when the engine has answered lately. Raises what `ping` raises."""
        if time.monotonic() - self._felt_at >= self.silence:
            self._ping(min(_PROBE_SECONDS, self.silence))
            self._felt_at = time.monotonic()


class SilenceElapsed(Exception):
    """A stream was silent for as long as its reader cared to wait."""


class StreamIdlePolicy:
    """Lets one stream be silent for as long as the engine answers the probe.

    After `most` seconds, if given, SilenceElapsed ends it all the same.
    """

    def __init__(self, probe: LivenessProbe, most: float | None = None) -> None:
        self._probe = probe
        self._missed = 0
        self._ends_at = None if most is None else time.monotonic() + most

    @property
    def patience(self) -> float:
        """See `IdlePolicy`."""
        return _BETWEEN_PROBES if self._missed else self._probe.silence

    def check(self) -> None:
        """See `IdlePolicy`. Raises the error of the last of several missed probes."""
        try:
            self._probe.check()
        except (EngineTimeoutError, EngineUnreachableError):
            self._missed += 1
            if self._missed >= _PROBES:
                raise
        else:
            self._missed = 0
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            raise SilenceElapsed


class EngineStream(Generic[T]):
    """Implements `Stream` over an established answer; one thread iterates, any may close."""

    def __init__(
        self, connection: DeadlineSocket, response: HTTPResponse, decoder: Decoder[T]
    ) -> None:
        self._connection = connection
        self._response = response
        self._decoder = decoder
        self._ready: Iterator[T] = iter(())
        self._lock = threading.Lock()
        self._reading = False
        self._closed = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """Return the next value. Raises StopIteration, and what `Stream` says."""
        while not self._closed:
            for value in self._ready:
                return value
            try:
                self._ready = iter(self._decoder.feed(self._receive()))
            except EngineError:
                self.close()
                raise
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def close(self) -> None:
        """See `Stream.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            shut_down(self._connection)
            # The descriptor of a reader is not closed under it: another thread's next connection
            # could get the same number. The reader wakes and closes it.
            if not self._reading:
                self._release()

    def _receive(self) -> bytes:
        """Return what comes next; nothing, and closed, at the end."""
        with self._lock:
            if self._closed:
                return b""
            self._reading = True
        try:
            data = self._read()
        finally:
            with self._lock:
                self._reading = False
                if self._closed:
                    self._release()
        if not data:
            self.close()
        return data

    def _read(self) -> bytes:
        try:
            return self._response.read1(_CHUNK)
        except (HTTPException, OSError, EngineError) as error:
            if self._closed:
                return b""
            if isinstance(error, EngineError):
                raise
            raise connection_lost() from error

    def _release(self) -> None:
        self._response.close()
        self._connection.close()
