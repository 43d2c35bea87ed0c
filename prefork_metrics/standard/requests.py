"""Families of HTTP requests."""

from typing import TYPE_CHECKING

from prefork_metrics.family import Labels

if TYPE_CHECKING:
    from prefork_metrics.registry import Registry

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
OTHER_METHOD = "OTHER"
STATUS_CODES = tuple(str(code) for code in range(100, 600))
ERROR_TYPES = ("client_error", "server_error", "unhandled_exception", "timeout")
_HTTP: Labels = {"method": (*METHODS, OTHER_METHOD), "route": None, "status_code": STATUS_CODES}


class RequestFamilies:
    """Declared under the prefix of a registry."""

    def __init__(self, registry: "Registry") -> None:
        self.requests = registry.counter(
            "http_requests_total",
            "HTTP requests answered.",
            _HTTP,
            "each HTTP request when its response is finished, streamed and aborted ones too, and "
            "what the server refuses without asking the application; route is the URL rule or "
            "`unmatched`, status_code the one sent or intended; a WebSocket is its handshake, 101",
        )
        self.duration = registry.histogram(
            "http_request_duration_seconds",
            "Time of a request: its wait for a thread, and the work on it.",
            _HTTP,
            "the same moment; from when the whole request was there, without the time in which its"
            " client was waited for; handshakes of WebSockets are left out",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            native=True,
        )
        self.queue_wait = registry.histogram(
            "http_queue_wait_seconds",
            "Time that requests waited for a thread.",
            {},
            "each request but those of /health, when its response is finished; a part of its "
            "duration",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            native=True,
        )
        self.active = registry.gauge(
            "active_connections",
            "HTTP requests being served now.",
            {},
            "+1 when a request starts, -1 when its response is finished; a scrape does not count "
            "itself, and a WebSocket is none",
            multiprocess_mode="livesum",
        )
        self.errors = registry.counter(
            "api_errors_total",
            "HTTP responses of 400 and above.",
            {"type": ERROR_TYPES, "route": None, "status_code": STATUS_CODES},
            "each response of 400 and above; type is timeout for 408 and 504, unhandled_exception "
            "where the code raised what nobody foresaw",
        )
