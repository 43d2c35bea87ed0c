"""The little application that is measured, and the ways to measure its requests.

Each variant is built in a process of its own: one replaces the metrics client's value class,
another wraps Flask's methods, and nothing of that may reach the next. So whatever a variant needs
is imported where it is built.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from flask import Flask, Response

    from prefork_metrics.exchange import Exchanges

PATH = "/items/7"


class Variant(NamedTuple):
    """One way to measure requests; `ours` has the hooks of `gunicorn.conf.py` in a server."""

    title: str
    build: "Callable[[], Flask]"
    ours: bool = False


def _bare() -> "Flask":
    from flask import Flask

    app = Flask("benchmark")

    @app.get("/items/<item>")
    def show(item: str) -> dict[str, str]:
        return {"item": item}

    return app


def _empty_hooks() -> "Flask":
    app = _bare()

    def before() -> None:
        return None

    def after(response: "Response") -> "Response":
        return response

    app.before_request(before)
    app.after_request(after)
    return app


def _telemetry() -> "Flask":
    from prefork_metrics.flask import observe

    app = _bare()
    return _measured(app, observe(app))


def _telemetry_and_log() -> "Flask":
    from app.web import request_log
    from prefork_metrics.flask import observe

    app = _bare()
    exchanges = observe(app)
    exchanges.on_start.append(request_log.identify)
    app.after_request(request_log.return_id)
    exchanges.on_finish.append(request_log.write_line)
    return _measured(app, exchanges)


def _logged() -> "Flask":
    """Copy each line for a receiver too, into a ring that has room for all of them."""
    import os

    from app.tracing.log_records import copy_logs
    from app.wiring import load_settings

    os.environ.update(
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="http://127.0.0.1:1/v1/logs", VIBEBOX_LOGS_MB="1024"
    )
    copy_logs(load_settings())
    return _telemetry_and_log()


def _traced(ratio: str, **more: str) -> "Callable[[], Flask]":
    """Return what builds the same with traces, of which such a share is kept.

    The rings have room for all of it: what sending costs is another process's (`exporter_cost`).
    """

    def build() -> "Flask":
        import os

        os.environ.update(
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
            VIBEBOX_TRACES_RATIO=ratio,
            VIBEBOX_TRACES_MB="512",
            **more,
        )
        return _telemetry_and_log()

    return build


def _measured(app: "Flask", exchanges: "Exchanges") -> "Flask":
    """Wire telemetry as `app.create_app` does, and leave what the server's hooks look for."""
    from types import SimpleNamespace

    from app.storage import Database
    from app.tracing.build import build as build_recorder
    from app.web.lifecycle import Lifecycle
    from app.web.services import EXTENSION
    from app.web.telemetry import Telemetry
    from app.wiring import load_settings

    settings = load_settings()
    recorder = build_recorder(settings)
    telemetry = Telemetry(settings, Database(settings.database_url), recorder)
    telemetry.measure_requests(app, exchanges, {})
    app.extensions[EXTENSION] = SimpleNamespace(
        lifecycle=Lifecycle(), telemetry=telemetry, start=lambda: None, close=telemetry.close
    )
    return app


def _stock() -> "Flask":
    """Count what we count, in the usual way: hooks that look the labels up on each request."""
    import time

    from flask import g, request
    from prometheus_client import Counter, Gauge, Histogram

    app, names = _bare(), ("method", "route", "status")
    total = Counter("http_requests", "Requests.", names)
    # As many buckets as ours.
    seconds = Histogram("http_seconds", "Seconds.", names, buckets=[2.0**n for n in range(-9, 5)])
    active = Gauge("http_active", "In flight.", multiprocess_mode="livesum")

    def before() -> None:
        g.started = time.perf_counter()
        active.inc()

    def after(response: "Response") -> "Response":
        rule = request.url_rule
        labels = request.method, rule.rule if rule else "unmatched", str(response.status_code)
        total.labels(*labels).inc()
        seconds.labels(*labels).observe(time.perf_counter() - g.started)
        active.dec()
        return response

    app.before_request(before)
    app.after_request(after)
    return app


def _flask_exporter() -> "Flask":
    """Its class for gunicorn, which counts into the shared directory; by rule, as we do."""
    from prometheus_flask_exporter.multiprocess import GunicornInternalPrometheusMetrics

    app = _bare()
    GunicornInternalPrometheusMetrics(app, group_by="url_rule")
    return app


def _otel_metrics() -> "Flask":
    """Metrics alone, kept in memory: its requests are counted, and no span is recorded."""
    from opentelemetry.trace import NoOpTracerProvider

    return _instrumented(NoOpTracerProvider())


def _otel_metrics_and_traces() -> "Flask":
    """The usual set-up: beside the metrics, each request is a span, and all are sampled.

    The exporter throws the spans away in its own thread: what sending them costs is not in here.
    """
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    exporter: Any = SpanExporter()
    exporter.export = lambda spans: SpanExportResult.SUCCESS
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return _instrumented(provider)


def _otel_one_in_a_hundred() -> "Flask":
    """The same, of which one trace in a hundred is sampled at its beginning."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    return _instrumented(TracerProvider(sampler=TraceIdRatioBased(0.01)))


def _instrumented(tracer_provider: Any) -> "Flask":
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    app = _bare()
    FlaskInstrumentor().instrument_app(
        app,
        tracer_provider=tracer_provider,
        meter_provider=MeterProvider(metric_readers=[InMemoryMetricReader()]),
    )
    return app


VARIANTS = {
    "bare": Variant("bare Flask", _bare),
    "hooks": Variant("empty before/after hooks", _empty_hooks),
    "ours": Variant("VibeBox telemetry", _telemetry, ours=True),
    "log": Variant("VibeBox telemetry, request id, log line", _telemetry_and_log, ours=True),
    "logs": Variant("the same with a log record by OTLP", _logged, ours=True),
    "traces-off": Variant(
        "the same with traces switched off", _traced("1", OTEL_SDK_DISABLED="true"), ours=True
    ),
    "traces-none": Variant("the same with traces, none kept", _traced("0"), ours=True),
    "traces-hundredth": Variant("the same with traces, 1 % kept", _traced("0.01"), ours=True),
    "traces-tenth": Variant("the same with traces, 10 % kept", _traced("0.1"), ours=True),
    "traces-all": Variant("the same with traces, all kept", _traced("1"), ours=True),
    "stock": Variant("prometheus-client, stock multiprocess", _stock),
    "exporter": Variant("prometheus-flask-exporter, multiprocess", _flask_exporter),
    "otel": Variant("OpenTelemetry, metrics", _otel_metrics),
    "otel-hundredth": Variant("OpenTelemetry, metrics and 1 % of traces", _otel_one_in_a_hundred),
    "otel-traces": Variant("OpenTelemetry, metrics and traces", _otel_metrics_and_traces),
}
