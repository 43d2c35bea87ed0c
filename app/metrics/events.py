"""Subscribes telemetry to the signals of the services."""

import time
from typing import Any

from app.core import signals
from app.metrics.catalogue import (
    agent_failures,
    agent_task_success,
    auth_attempts,
    clients_cut_off,
    environment_exits,
    environment_start_duration,
    extension_installations,
    health_check_duration,
    health_check_up,
    http_client_wait,
    limit_refusals,
    log_entries,
    log_records,
    probe_failures,
    probe_rounds,
    probe_step_duration,
    pushed_points,
    registrations,
    shipped_lines,
    spans,
    websocket_connections,
    websocket_connections_limit,
    websocket_messages,
)
from app.metrics.exemplars import of_request
from app.storage import DurableCounter

# Families whose numbers the database holds (see `backfill`); each has one label.
DURABLE = {
    DurableCounter.ENVIRONMENT_EXITS: environment_exits,
    DurableCounter.EXTENSION_INSTALLATIONS: extension_installations,
    DurableCounter.LOG_ENTRIES: log_entries,
    DurableCounter.CONTAINER_LOG_LINES: shipped_lines,
    DurableCounter.PROBE_ROUNDS: probe_rounds,
    DurableCounter.PROBE_FAILURES: probe_failures,
}


def connect() -> None:
    """Count what the signals tell; calling it again changes nothing."""
    signals.authentication.connect(_authentication)
    signals.registration.connect(_registration)
    signals.health_checked.connect(_health_checked)
    signals.environment_started.connect(_environment_started)
    signals.loop_failed.connect(_loop_failed)
    signals.loop_done.connect(_loop_done)
    signals.counted.connect(_counted)
    signals.limit_refused.connect(_limit_refused)
    signals.websockets_offered.connect(_websockets_offered)
    signals.websocket_opened.connect(_websocket_opened)
    signals.websocket_closed.connect(_websocket_closed)
    signals.websocket_message.connect(_websocket_message)
    signals.client_waited.connect(_client_waited)
    signals.client_cut_off.connect(_client_cut_off)
    signals.spans_ended.connect(_spans_ended)
    signals.log_records_ended.connect(_log_records_ended)
    signals.points_pushed.connect(_points_pushed)
    signals.probe_step_done.connect(_probe_step_done)


def _authentication(_sender: Any, *, method: str, success: bool) -> None:
    auth_attempts.child(method, "success" if success else "failure").inc()


def _spans_ended(_sender: Any, *, result: str, number: int) -> None:
    spans.child(result).inc(number)


def _log_records_ended(_sender: Any, *, result: str, number: int) -> None:
    log_records.child(result).inc(number)


def _points_pushed(_sender: Any, *, result: str, number: int) -> None:
    pushed_points.child(result).inc(number)


def _registration(_sender: Any, *, way: str, outcome: str) -> None:
    registrations.child(way, outcome).inc()


def _health_checked(_sender: Any, *, check: str, required: bool, up: bool, seconds: float) -> None:
    health_check_up.child(check, "true" if required else "false").set(1 if up else 0)
    health_check_duration.child(check).observe(seconds)


def _environment_started(_sender: Any, *, outcome: str, seconds: float) -> None:
    environment_start_duration.child(outcome).observe(seconds, of_request())


def _loop_failed(_sender: Any, *, loop: str) -> None:
    agent_failures.child(loop).inc()


def _loop_done(_sender: Any, *, loop: str) -> None:
    agent_task_success.child(loop).set(time.time())


def _counted(_sender: Any, *, counter: DurableCounter, value: str, amount: int) -> None:
    DURABLE[counter].child(value).inc(amount)


def _limit_refused(_sender: Any, *, limit: str) -> None:
    limit_refusals.child(limit).inc()


def _websockets_offered(_sender: Any, *, number: int) -> None:
    websocket_connections_limit.child().set(number)


def _websocket_opened(_sender: Any, *, kind: str) -> None:
    websocket_connections.child().inc()


def _websocket_closed(_sender: Any, *, kind: str) -> None:
    websocket_connections.child().dec()


def _websocket_message(_sender: Any, *, direction: str, kind: str) -> None:
    websocket_messages.child(direction, kind).inc()


def _client_waited(_sender: Any, *, phase: str, seconds: float) -> None:
    http_client_wait.child(phase).observe(seconds)


def _client_cut_off(_sender: Any, *, reason: str) -> None:
    clients_cut_off.child(reason).inc()


def _probe_step_done(_sender: Any, *, step: str, seconds: float) -> None:
    probe_step_duration.child(step).observe(seconds)
