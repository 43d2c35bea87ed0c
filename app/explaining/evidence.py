"""The parts of an explanation, each from one store; what cannot be had says why."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.core.errors import StoreUnavailableError
from app.explaining import traced
from app.explaining.answer import (
    HIDDEN_SIGNALS,
    EnvironmentPart,
    ExemplarPart,
    ExemplarView,
    LinePart,
    RequestLine,
    SeriesPart,
    SeriesView,
    SpanView,
    TracePart,
    TraceView,
    pairs,
    shown_number,
)
from app.explaining.kinds import Culprit, Kind
from app.explaining.readers import Reader, Span
from app.explaining.traces_of import Traces
from app.explaining.watched import Watched
from app.metrics.catalogue import DATABASE, docker_operation_duration
from app.stores.log_lines import SETTING as LOG_STORE
from app.stores.log_lines import LogStore
from app.stores.prometheus import Exemplar
from app.stores.traces import StoredTrace, moment

_MOST_LINES = 50
_MOST_ENVIRONMENTS = 3
_AROUND = timedelta(minutes=10)
_NO_EXEMPLARS = "Prometheus has no exemplars of it: see --enable-feature=exemplar-storage"
_NO_REQUEST = "no request of it is known"


def series(watched: Watched) -> SeriesPart:
    """Return the worst series. Raises: StoreUnavailableError."""
    found = watched.series
    items = [SeriesView(labels=pairs(s.labels), value=shown_number(s.value)) for s in found]
    return SeriesPart(items=items, missing=None if items else "there is no such series now")


def look_at(traces: Traces, steps: Sequence[Culprit]) -> None:
    """Have the traces behind the last step read that leads to any, unless they are.

    Raises: StoreUnavailableError (Prometheus).
    """
    if traces.read or traces.exemplars:
        return
    for step in reversed(steps):
        if step.kind is Kind.ROUTE:
            traces.of_route(step.id)
        elif step.kind is Kind.STATEMENT:
            operation, _, model = step.id.partition(" ")
            labels = {"operation": operation.lower(), "model": model}
            traces.of_family(labels, DATABASE.statement_duration.name)
        elif step.kind is Kind.DOCKER_OPERATION:
            traces.of_family({"operation": step.id}, docker_operation_duration.name)
        else:
            continue
        return


def exemplars(found: Sequence[Exemplar]) -> ExemplarPart:
    """Return the exemplars."""
    items = [
        ExemplarView(
            labels=pairs(one.labels), series=pairs(one.series), value=one.value, at=moment(one.at)
        )
        for one in found
    ]
    return ExemplarPart(items=items, missing=None if items else _NO_EXEMPLARS)


def traces(found: Traces) -> TracePart:
    """Return the traces."""
    return TracePart(
        items=[_trace(one) for one in found.read], missing=found.missing or _none(found.read)
    )


def _none(found: Sequence[StoredTrace]) -> str | None:
    return None if found else "no route or call is known that traces could be looked for by"


def _trace(found: StoredTrace) -> TraceView:
    root, failed = found.root, traced.first_failed(found)
    slowest = traced.slowest(found)
    return TraceView(
        trace_id=found.id,
        request_id=traced.request_of(found),
        name=root.name,
        began=moment(root.began),
        seconds=root.seconds,
        spans=len(found.spans),
        slowest=_span(slowest),
        failed=None if failed is None else _span(traced.cost(found, failed)),
        environment_id=traced.environment_of(found),
    )


def _span(cost: traced.Cost) -> SpanView:
    span = cost.span
    return SpanView(
        name=span.name,
        kind=span.kind,
        began=moment(span.began),
        seconds=span.seconds,
        own_seconds=cost.own_seconds,
        error=span.error,
    )


def lines(
    store: LogStore | None, found: Traces, now: datetime, limit: int = _MOST_LINES
) -> LinePart:
    """Return the log lines of the requests that the traces and exemplars name."""
    if store is None:
        return LinePart(missing=f"{LOG_STORE} is not set")
    ids = {one.id for one in found.read} | {traced.request_of(one) for one in found.read}
    for one in found.exemplars:
        ids |= {one.labels[name] for name in ("trace_id", "request_id") if name in one.labels}
    if not ids:
        return LinePart(missing=_NO_REQUEST)
    began = [moment(one.root.began) for one in found.read]
    began += [moment(one.at) for one in found.exemplars]
    try:
        read = store.lines(sorted(ids), min(began) - _AROUND, now + _AROUND, limit)
    except ValueError:  # an id of somebody else's making
        return LinePart(missing=_NO_REQUEST)
    except StoreUnavailableError as error:
        return LinePart(missing=error.detail)
    items = [RequestLine.model_validate(one) for one in read]
    return LinePart(items=items, missing=None if items else "the store has no line of it")


def environments(
    reader: Reader, culprit: Culprit | None, found: Traces, written: LinePart
) -> EnvironmentPart:
    """Return the environments that the alert touches, as the reader may see them."""
    spans: dict[str, Span | None] = {}
    if culprit is not None and culprit.kind is Kind.ENVIRONMENT:
        spans[culprit.id] = None
    for one in found.read:
        if (id := traced.environment_of(one)) is not None:
            ended = moment(one.root.began + one.root.seconds)
            spans.setdefault(id, (moment(one.root.began), ended))
    for line in written.items:
        for id in traced.environments_in(line.fields.get("path", "")):
            spans.setdefault(id, (line.at, line.at))
    items = [reader.environment(id, at) for id, at in list(spans.items())[:_MOST_ENVIRONMENTS]]
    if items:
        return EnvironmentPart(items=items)
    why = "the requests that are known touch none" if found.read or written.items else _NO_REQUEST
    return EnvironmentPart(missing=why)


def hidden() -> tuple[SeriesPart, ExemplarPart, TracePart]:
    """Return what is shown to those who may not read the signals of the service."""
    return (
        SeriesPart(missing=HIDDEN_SIGNALS),
        ExemplarPart(missing=HIDDEN_SIGNALS),
        TracePart(missing=HIDDEN_SIGNALS),
    )
