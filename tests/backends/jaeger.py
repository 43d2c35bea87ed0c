"""The real Jaeger 2, which keeps traces in memory."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import requests

from tests.backends import http, signal_stores
from tests.backends.programs import Program, free_port, wait_until
from tests.backends.scratch import new_directory, remove_directory

READY_TIMEOUT = 30.0
Json = dict[str, Any]


class Jaeger:
    """A Jaeger with everything in one process, on free ports of this host.

    `otlp` is what to send traces to (OTLP over HTTP; a base address, as in
    `OTEL_EXPORTER_OTLP_ENDPOINT`), `url` where its pages and its queries are. `suspend` makes it
    hang, `stop` makes it refuse connections, and forget. Both are undone by `heal`.

    Args:
        max_traces: how many it keeps; it forgets the oldest.
    """

    def __init__(self, max_traces: int = 1_000_000) -> None:
        self._directory = new_directory("jaeger")
        self.port, self.otlp_port, self.grpc_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.otlp = f"http://127.0.0.1:{self.otlp_port}"
        config = self._directory / "jaeger.yaml"
        # JSON is YAML too.
        config.write_text(json.dumps(self._config(max_traces)))
        self._server = Program(
            [str(signal_stores.program("jaeger")), "--config", str(config)],
            self._directory / "log",
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "HOME": str(self._directory)},
        )
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def _config(self, max_traces: int) -> Json:
        """Return a configuration without what listens on fixed ports."""
        address = "127.0.0.1:{}".format
        query = {
            "storage": {"traces": "memory"},
            "http": {"endpoint": address(self.port)},
            "grpc": {"endpoint": address(free_port())},
        }
        protocols = {
            "grpc": {"endpoint": address(self.grpc_port)},
            "http": {"endpoint": address(self.otlp_port)},
        }
        memory = {"memory": {"memory": {"max_traces": max_traces}}}
        pipeline = {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}
        return {
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "pipelines": {"traces": pipeline},
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
            },
            "extensions": {"jaeger_query": query, "jaeger_storage": {"backends": memory}},
            "receivers": {"otlp": {"protocols": protocols}},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        }

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run Jaeger here, or None."""
        return signal_stores.missing("jaeger")

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    def start(self) -> None:
        """Start the server and wait until it answers; harmless when it runs."""
        if not self._server.running:
            self._server.start()
            self._server.wait_ready(self._answers, READY_TIMEOUT)

    def _answers(self) -> bool:
        try:
            # It takes traces a moment later than it answers questions; only by POST.
            takes = http.get(f"{self.otlp}/v1/traces", timeout=2).status_code == 405
        except requests.RequestException:
            return False
        return takes and http.answers(f"{self.url}/api/services")

    def services(self) -> list[str]:
        """Return the names of the services that it knows."""
        return sorted(self._ask("services") or [])

    def trace(self, trace_id: str) -> list[Json]:
        """Return the spans of a trace, in the order of their beginnings; empty where it has none.

        Each as its own interface gives it (`spanID`, `operationName`, `references`, `startTime`
        and `duration` in microseconds, `tags`), with the tags of its process below `process`.
        """
        answer = http.get(f"{self.url}/api/traces/{trace_id}")
        if answer.status_code == 404:
            return []
        answer.raise_for_status()
        return [span for found in answer.json()["data"] for span in _spans(found)]

    def wait_for_trace(self, trace_id: str, spans: int = 1, timeout: float = 20) -> list[Json]:
        """Wait until the trace has so many spans, and return them."""
        found: list[Json] = []

        def arrived() -> bool:
            found[:] = self.trace(trace_id)
            return len(found) >= spans

        wait_until(
            arrived,
            timeout,
            interval=0.1,
            otherwise=lambda: f"jaeger: {len(found)} of {spans} spans of trace {trace_id}",
        )
        return found

    def search(
        self, service: str = "vibebox", tags: Mapping[str, str] | str = "", **more: str
    ) -> list[list[Json]]:
        """Return the traces that have a span with all of this, each as `trace` does.

        tags: attributes, as such or as its interface takes them; more: `operation`, `start` and
        `end` in microseconds, `limit` (20), `minDuration`.
        """
        parameters = {"service": service, **more}
        if tags:
            parameters["tags"] = tags if isinstance(tags, str) else json.dumps(dict(tags))
        return [list(_spans(found)) for found in self._ask("traces", **parameters) or []]

    def wait_for(self, arrived: Callable[["Jaeger"], bool], timeout: float = 20) -> None:
        """Wait until what is asked of it holds."""
        wait_until(lambda: arrived(self), timeout, interval=0.1)

    def _ask(self, path: str, **parameters: str) -> Any:
        answer = http.get(f"{self.url}/api/{path}", parameters)
        answer.raise_for_status()
        return answer.json()["data"]

    def stop(self) -> None:
        """End the server; what it has is lost. Asked to end, it takes ten seconds."""
        self._server.kill()

    def suspend(self) -> None:
        """Freeze the server."""
        self._server.suspend()

    def resume(self) -> None:
        """Undo `suspend`; harmless when the server is not suspended."""
        self._server.resume()

    def heal(self) -> None:
        """Make the server run and answer again, whatever a test did to it."""
        self.resume()
        self.start()

    def close(self) -> None:
        """End the server and remove everything that belongs to it."""
        self._server.kill()
        remove_directory(self._directory)


def _spans(trace: Json) -> list[Json]:
    processes = trace["processes"]
    found = [{**span, "process": processes[span["processID"]]} for span in trace["spans"]]
    return sorted(found, key=lambda span: span["startTime"])


def tags(span: Json) -> Json:
    """Return the attributes of a span, with those of its resource under `resource.`."""
    process = span["process"]
    return {
        "resource.service.name": process["serviceName"],
        **{f"resource.{tag['key']}": tag["value"] for tag in process["tags"]},
        **{tag["key"]: tag["value"] for tag in span["tags"]},
    }
