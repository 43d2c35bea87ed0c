"""Measures Docker by wrapping the one gateway to it.

A stream counts when it is established: how long it lives says nothing about Docker.
"""

import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, cast

from app.core.errors import EngineError
from app.core.trace_context import SpanKind, current, new_span_id
from app.engine import OPERATIONS, Engine
from app.metrics.catalogue import docker_operation_duration, docker_operations
from app.metrics.exemplars import of_request


def _all(error: type[EngineError]) -> Iterator[type[EngineError]]:
    yield error
    for special in error.__subclasses__():
        yield from _all(special)


# What a healthy engine answers to a request that cannot be fulfilled.
EXPECTED = tuple({error for error in _all(EngineError) if error.is_callers()})


class _MeasuredEngine:
    """Has the methods of the engine; each that is an operation is counted and timed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        for method, operation in OPERATIONS.items():
            setattr(self, method, _measured(getattr(engine, method), operation))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def measured(engine: Engine) -> Engine:
    """Return `engine`, with each call counted by operation and outcome."""
    return cast(Engine, _MeasuredEngine(engine))


def _measured(call: Callable[..., Any], operation: str) -> Callable[..., Any]:
    @wraps(call)
    def measured_call(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        status, error, span_id = "failure", "", ""
        trace = current()
        if trace is not None:
            # The engine is told of the call that it answers.
            span_id = trace.calling = new_span_id()
        try:
            result = call(*arguments, **named)
            status = "success"
            return result
        except EXPECTED:
            status = "success"
            raise
        except BaseException as failure:
            error = type(failure).__name__
            raise
        finally:
            if trace is not None:
                trace.calling = ""
                trace.note(SpanKind.DOCKER, started, operation, "", error, span_id)
            docker_operations.child(operation, status).inc()
            seconds = time.perf_counter() - started
            docker_operation_duration.child(operation).observe(seconds, of_request())

    return measured_call
