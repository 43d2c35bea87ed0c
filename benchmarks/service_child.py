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
    call = VARIANTS[sys.argv[1]].build()
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


def _list(measured: bool) -> Call:
    from app import create_app
    from app.core.settings import Settings

    _database()
    settings = Settings.model_validate(
        {"DATABASE_URL": os.environ["DATABASE_URL"], "registration": "open"}
    )
    if not measured:
        _without_telemetry()
    app = create_app(settings)
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

if __name__ == "__main__":
    main()
