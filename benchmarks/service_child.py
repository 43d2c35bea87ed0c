"""A process of `service_cost`: a line comes in, the CPU time of a call goes out.

`python -m benchmarks.service_child VARIANT`
"""

import gc
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from app.storage import Database

CALLS = 100
ROWS = 20
_LIST = "/api/v1/environments"
Call = Callable[[], None]


class Variant(NamedTuple):
    """What is called; `without` names the same without what is measured."""

    title: str
    build: Callable[[], Call]
    without: str | None = None


def main() -> None:
    """Build the variant, warm it up, and run a round for each line on standard input."""
    _log_to_nowhere()
    try:
        call = {**VARIANTS, **LIST_VARIANTS}[sys.argv[1]].build()
    except ModuleNotFoundError as error:
        sys.exit(f"{sys.argv[1]}: {error}; `make benchmark` installs what is compared")
    _round(call)
    gc.collect()
    gc.freeze()
    for _line in sys.stdin:
        print(_round(call), flush=True)


def _round(call: Call) -> float:
    started = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - started) / CALLS * 1e6


def _log_to_nowhere() -> None:
    """Write log lines as the product does, to where no disk is."""
    from app.core.logging import configure

    configure("info", "web-0")
    root = logging.getLogger()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(open("/dev/null", "w"))


def _database() -> "Database":
    from app.storage import Database, schema

    database = Database(os.environ["DATABASE_URL"])
    schema.upgrade(database)
    return database


def _transaction(measured: bool) -> Call:
    from sqlalchemy import select

    from app.metrics.catalogue import registry
    from app.storage import User
    from prefork_metrics.sqlalchemy import PoolMeter

    database = _database()
    if measured:
        PoolMeter(database.engine.pool, registry, 10)

    def call() -> None:
        with database.reading() as session:
            session.scalar(select(User.id))

    return call


def _line(measured: bool) -> Call:
    """A route of nothing, in the application's own exchange."""
    from flask import Flask

    from app.web import request_log
    from prefork_metrics.flask import observe

    app = Flask("benchmark")
    app.add_url_rule("/items/<item>", view_func=lambda item: {"item": item})
    exchanges = observe(app)
    if measured:
        exchanges.on_start.append(request_log.identify)
        app.after_request(request_log.return_id)
        exchanges.on_finish.append(request_log.write_line)
    return _request(app, "/items/7", {})


def _list(measured: bool, **settings: str) -> Call:
    from app import create_app
    from app.core.settings import Settings

    _database()
    known = {
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "PROMETHEUS_MULTIPROC_DIR": os.environ["PROMETHEUS_MULTIPROC_DIR"],
        "registration": "open",
        **settings,
    }
    if not measured:
        _without_telemetry()
    app = create_app(Settings.model_validate(known))
    client = app.test_client()
    who = {"email": "ada@example.org", "password": "correct horse battery staple"}
    client.post("/api/v1/auth/register", json=who)
    token = client.post("/api/v1/auth/login", json=who).get_json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    for number in range(ROWS):
        fields = {"name": f"box-{number}", "image": "busybox:1", "cpu_limit": 0.1}
        answer = client.post(_LIST, json={**fields, "memory_limit_mb": 16}, headers=headers)
        assert answer.status_code == 201, answer.text
    return _request(app, _LIST, headers)


def _traced_list(ratio: str) -> Call:
    """Return the call with traces, of which such a share is kept; see `benchmarks.variants`."""
    return _list(
        True,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        traces_ratio=ratio,
        traces_mb="512",
    )


def _opentelemetry_list(ratio: float) -> Call:
    """Return the call with OpenTelemetry's metrics and spans in the place of ours.

    Its instrumentation of SQLAlchemy does not take this release, and so its statements are
    recorded as it does it: a span around each, by the engine's events.
    """
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    exporter: Any = SpanExporter()
    exporter.export = lambda spans: SpanExportResult.SUCCESS
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    FlaskInstrumentor().instrument(
        tracer_provider=provider,
        meter_provider=MeterProvider(metric_readers=[InMemoryMetricReader()]),
    )
    _span_statements(provider.get_tracer("benchmark"))
    return _list(False)


def _span_statements(tracer: Any) -> None:
    from opentelemetry.trace import SpanKind
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def before(_c: Any, _cursor: Any, statement: str, _p: Any, context: Any, _m: bool) -> None:
        span = context.otel_span = tracer.start_span(statement.split()[0], kind=SpanKind.CLIENT)
        if span.is_recording():
            span.set_attribute("db.statement", statement)
            span.set_attribute("db.system", "sqlite")

    def after(_c: Any, _cursor: Any, _s: str, _p: Any, context: Any, _m: bool) -> None:
        context.otel_span.end()

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)


def _without_telemetry() -> None:
    """Leave out what measures: hooks of requests and statements, ids, lines."""
    from app.web import request_log, telemetry
    from prefork_metrics.requests import RequestMetrics

    def nothing(*_arguments: Any, **_named: Any) -> None:
        return None

    for owner, name in (
        (telemetry, "measure_process"),
        (RequestMetrics, "watch"),
        (RequestMetrics, "create_expected"),
        (request_log, "identify"),
        (request_log, "write_line"),
    ):
        setattr(owner, name, nothing)
    request_log.return_id = lambda response: response


def _request(app: Any, path: str, headers: dict[str, str]) -> Call:
    from werkzeug.test import EnvironBuilder

    environ = EnvironBuilder(path, headers=list(headers.items())).get_environ()
    statuses = set()

    def start_response(status: str, _headers: Any, _error: Any = None) -> Any:
        statuses.add(status)
        return lambda data: None

    def call() -> None:
        body = app.wsgi_app(dict(environ), start_response)
        for _chunk in body:
            pass
        body.close()

    call()
    assert statuses == {"200 OK"}, statuses
    return call


VARIANTS = {
    "no-line": Variant("a request of nothing", lambda: _line(False)),
    "line": Variant("… with request id and log line", lambda: _line(True), "no-line"),
    "plain-transaction": Variant("a transaction of one statement", lambda: _transaction(False)),
    "transaction": Variant(
        "… with the pool's gauges", lambda: _transaction(True), "plain-transaction"
    ),
    "plain-list": Variant(f"GET {_LIST}, {ROWS} rows", lambda: _list(False)),
    "list": Variant("… with metrics, log line and id", lambda: _list(True), "plain-list"),
}

LIST_VARIANTS = {
    "plain-list": VARIANTS["plain-list"],
    "list": Variant("… with metrics, line and id, traces off", lambda: _list(True)),
    "list-none": Variant("… and traces, none kept", lambda: _traced_list("0")),
    "list-hundredth": Variant("… and traces, 1 % kept", lambda: _traced_list("0.01")),
    "list-tenth": Variant("… and traces, 10 % kept", lambda: _traced_list("0.1")),
    "list-all": Variant("… and traces, all kept", lambda: _traced_list("1")),
    "list-otel-hundredth": Variant(
        "OpenTelemetry, metrics and 1 % of traces", lambda: _opentelemetry_list(0.01)
    ),
    "list-otel": Variant("OpenTelemetry, metrics and traces", lambda: _opentelemetry_list(1.0)),
}

if __name__ == "__main__":
    main()
