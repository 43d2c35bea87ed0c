"""What leads from an observation to the log line of its request."""

import logging
from bisect import bisect_left

from app.core.context import context
from app.core.trace_context import SpanKind, Trace
from app.metrics.catalogue import DATABASE, docker_operation_duration
from prefork_metrics.exemplars import Exemplar
from prefork_metrics.values import store

_access_log = logging.getLogger("app.access")


def of_trace(trace: Trace) -> None:
    """Name a trace that is kept at the durations of its statements and Docker calls."""
    for kind, _, _, seconds, what, to, _ in trace.spans:
        if kind is SpanKind.STATEMENT:
            histogram = DATABASE.statement_duration.child(what, to)
        elif kind is SpanKind.DOCKER:
            histogram = docker_operation_duration.child(what)
        else:
            continue
        bucket = histogram._buckets[bisect_left(histogram._upper_bounds, seconds)]
        pairs = (("trace_id", trace.trace_id),)
        store.put_exemplar(bucket, pairs, seconds)


def of_request() -> dict[str, str] | None:
    """Return the label of an exemplar that leads to the request being handled.

    None outside a request, where the label would be too long, and where no line would be found.
    None too where the request is traced: whether its trace is kept is known at its end only.
    """
    here = context.get()
    if here.trace is not None:
        return None
    for label, id in (("trace_id", here.trace_id), ("request_id", here.request_id)):
        if id:
            fits = Exemplar(((label, id),), 0.0, 0.0).fits and _access_log.isEnabledFor(
                logging.INFO
            )
            return {label: id} if fits else None
    return None
