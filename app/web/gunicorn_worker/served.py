"""What is known of a request while it is served: shared by worker and application."""

from collections.abc import Callable
from typing import Protocol


class Handler(Protocol):
    """What goes on over a connection after its request: a WebSocket."""

    def run(self) -> None:
        """Serve the connection to its end; called in a thread of its own, at most once."""

    def give_up(self) -> None:
        """Let go of what the handler holds; called where it cannot run."""


class ServedRequest:
    """One request, from when it could be served to the end of its answer.

    The worker makes it, the application finds it as `environ["gunicorn.socket"].request`. Times are
    seconds, moments are of time.perf_counter().

    Attributes: ready (when the whole request was there, or the answer before it had ended), started
    (when a thread took it; 0 before), waited (how long that thread then waited for the client),
    receiving and sending (how long the client took to send the request and to take the answer),
    large (whether its body is awaited in its thread), check (called with the number of bytes that
    have come, at least every second in which more of the body is awaited; raises what ends the
    wait. Who sets it bounds how many requests wait), begun (whether its answer has begun), seen
    (whether the application counts it), request_id (what the application called a request that it
    could not answer), lasting (whether it takes long by design), handler (what is to go on over the
    connection when the request is answered).
    """

    __slots__ = (
        "begun",
        "check",
        "handler",
        "large",
        "lasting",
        "ready",
        "receiving",
        "request_id",
        "seen",
        "sending",
        "started",
        "waited",
    )

    def __init__(self, ready: float, receiving: float = 0.0) -> None:
        self.ready = ready
        self.receiving = receiving
        self.started = self.waited = self.sending = 0.0
        self.begun = self.seen = self.lasting = self.large = False
        self.check: Callable[[int], None] | None = None
        self.request_id = ""
        self.handler: Handler | None = None
