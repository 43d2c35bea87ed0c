"""Families of a server: threads, queues, connections, and how workers end."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefork_metrics.registry import Registry

THREAD_STATES = ("busy", "total")
CLIENT_STATES = ("idle", "receiving", "queued", "serving", "sending", "closing")
EXIT_REASONS = ("recycled", "reloaded", "timeout", "killed", "crashed", "shutdown")


class ServerFamilies:
    """Declared under the prefix of a registry."""

    def __init__(self, registry: "Registry") -> None:
        self.threads = registry.gauge(
            "worker_threads",
            "Request threads of all workers.",
            {"state": THREAD_STATES},
            "each second; a scrape does not count itself among the busy",
            multiprocess_mode="livesum",
        )
        self.queue_depth = registry.gauge(
            "worker_queue_depth",
            "Requests that wait inside the workers for a thread.",
            {},
            "each second",
            multiprocess_mode="livesum",
        )
        self.oldest_request = registry.gauge(
            "http_oldest_request_seconds",
            "How long a thread has served the oldest request.",
            {},
            "each second; streams, WebSockets and what waits for a start are left out",
            multiprocess_mode="livemax",
        )
        self.client_connections = registry.gauge(
            "client_connections",
            "Connections of clients over all workers.",
            {"state": CLIENT_STATES},
            "each second. idle: no request under way; receiving: a part of one has come; queued: "
            "it waits for a thread; serving: a thread has it; sending: its client takes the "
            "answer; closing: the client is to hang up",
            multiprocess_mode="livesum",
        )
        self.client_connections_limit = registry.gauge(
            "client_connections_limit",
            "Connections that the workers would hold at once.",
            {},
            "the same moments; less than the setting where a process may open few descriptors",
            multiprocess_mode="livesum",
        )
        self.accept_queue_depth = registry.gauge(
            "accept_queue_depth",
            "Connections that wait on the listening socket.",
            {},
            "each second; of several sockets the fullest, Unix sockets left out",
            multiprocess_mode="livemax",
        )
        self.accept_queue_limit = registry.gauge(
            "accept_queue_limit",
            "Connections that may wait on the listening socket.",
            {},
            "the same moments",
            multiprocess_mode="livemax",
        )
        self.workers = registry.gauge(
            "workers",
            "Live web workers.",
            {},
            "start and end of a web worker",
            multiprocess_mode="livesum",
        )
        self.worker_exits = registry.counter(
            "worker_exits_total",
            "Web workers that ended.",
            {"reason": EXIT_REASONS},
            "each worker that the master reaps. timeout: the master's heartbeat check gave it up; "
            "crashed: an exit code, or a fault (SIGSEGV, SIGBUS, …); reloaded, shutdown: the "
            "master asked it to, on a reload or else; recycled: it reached max_requests; killed: a"
            " signal that the master did not send (the kernel short of memory, an operator)",
        )
