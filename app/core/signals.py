"""What happened in the service, as named signals.

Services send; whoever is interested (today telemetry) subscribes. A service so never knows a
metric, and a receiver never changes what a service does: see `emit`.
"""

import logging
from typing import Any

from blinker import Namespace, Signal

_log = logging.getLogger(__name__)
_signals = Namespace()

authentication = _signals.signal(
    "authentication",
    doc="Credentials were checked: method (password, token, refresh, api_key, websocket), success "
    "(bool).",
)

registration = _signals.signal(
    "registration",
    doc="Somebody asked for an account: way (open, invitation, first), outcome (created, taken, "
    "refused, limited).",
)

health_checked = _signals.signal(
    "health-checked",
    doc="A health check ran: check (name), required (bool), up (bool), seconds (float).",
)

spans_ended = _signals.signal(
    "spans-ended",
    doc="Spans came to an end of their way: result (recorded, dropped, exported, rejected, "
    "failed), or may be there twice (doubtful); number (int).",
)

log_records_ended = _signals.signal(
    "log-records-ended",
    doc="Lines of the service's log came to an end of their way: result (dropped, exported, "
    "rejected, failed), number (int).",
)

points_pushed = _signals.signal(
    "points-pushed",
    doc="Metrics were pushed: result (accepted, rejected, refused, doubtful), number (int) of "
    "their data points.",
)

environment_started = _signals.signal(
    "environment-started",
    doc="A start came to its end: outcome (success, user_error, failure), seconds (float) since "
    "it was accepted.",
)

websockets_offered = _signals.signal(
    "websockets-offered",
    doc="A process began to take WebSockets: number (int) that it would hold at once.",
)

websocket_opened = _signals.signal(
    "websocket-opened", doc="A WebSocket is open: kind (terminal, logs, status)."
)

websocket_closed = _signals.signal(
    "websocket-closed", doc="A WebSocket that was open is closed: kind."
)

websocket_message = _signals.signal(
    "websocket-message", doc="A message went over a WebSocket: direction (in, out), kind."
)

client_waited = _signals.signal(
    "client-waited",
    doc="A request or its answer had to wait for its client: phase (receive, send), seconds "
    "(float).",
)

client_cut_off = _signals.signal(
    "client-cut-off",
    doc="A connection was ended although its client had not: reason (head, body or answer, with "
    "which it took too long; room, which was needed).",
)

loop_failed = _signals.signal(
    "loop-failed",
    doc="Work on an item of a loop failed, or the loop itself: loop (see `isolation.Loop`).",
)

loop_done = _signals.signal(
    "loop-done", doc="A loop of the leading agent came round without failing as a whole: loop."
)

probe_step_done = _signals.signal(
    "probe-step-done",
    doc="A step of the synthetic user came to its end, or failed: step, seconds (float).",
)

limit_refused = _signals.signal(
    "limit-refused", doc="A request was refused by a limit: limit (of app.core.errors.Limit)."
)

counted = _signals.signal(
    "counted",
    doc="Events whose number is kept in the database were stored: family (name of the metric), "
    "value (of its one label), amount (int).",
)


def emit(signal: Signal, **arguments: Any) -> None:
    """Send `signal` to its receivers; a receiver that fails is logged and forgotten.

    What a receiver does (counting, say) must never fail the user's request that it is told about.
    """
    for receiver in signal.receivers_for(None):
        try:
            receiver(None, **arguments)
        except Exception:
            _log.exception("signal receiver failed", extra={"arguments": sorted(arguments)})
