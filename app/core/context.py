"""What this thread works on, for whoever writes a log line, an entry of the audit log or a span.

All of it is in one context variable: to set one costs as much as to make the object.
"""

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.core.trace_context import Trace


class Context:
    """A request, a task, or what goes on from a request that has ended."""

    __slots__ = ("address", "request_id", "trace", "trace_id")

    def __init__(
        self,
        request_id: str = "",
        address: str = "",
        trace_id: str = "",
        trace: "Trace | None" = None,
    ) -> None:
        """address: where the request came from, empty where there is none (agent, command line);
        trace_id: of the caller's trace, for where none of our own is recorded."""
        self.request_id = request_id
        self.address = address
        self.trace_id = trace_id
        self.trace = trace

    def within(self, trace: "Trace") -> "Context":
        """Return the same with what is done now traced."""
        return Context(self.request_id, self.address, self.trace_id, trace)


NOTHING = Context()
"""The context of a thread that has nothing to do; it is never changed."""
context: ContextVar[Context] = ContextVar("context", default=NOTHING)
