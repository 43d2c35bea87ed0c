"""What a trace says: what took longest in it, what failed, and of whom it is."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from app.explaining.kinds import Culprit, Kind
from app.stores.traces import Span, StoredTrace

_SHARE = 1 / 3
"""Of a request's time: what takes less of it is not why it was slow."""
_ENVIRONMENT = re.compile(r"/environments/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=[/?]|$)")
_OPERATION = "vibebox.docker.operation"
_STATEMENT = "db.query.summary"
_NAMES = ("vibebox.environment.id", "vibebox.environment_id", "vibebox.environment")


@dataclass(frozen=True)
class Cost:
    """A span of a trace, and its seconds without those of the spans below it."""

    span: Span
    own_seconds: float


def slowest(trace: StoredTrace) -> Cost:
    """Return the span that took longest by itself."""
    return max((cost(trace, span) for span in trace.spans), key=lambda one: one.own_seconds)


def cost(trace: StoredTrace, span: Span) -> Cost:
    """Return a span with what it took by itself."""
    below = sum(one.seconds for one in trace.below(span))
    return Cost(span, max(0.0, span.seconds - below))


def first_failed(trace: StoredTrace) -> Span | None:
    """Return the failed call below the request; the request itself where none of them failed."""
    failed = [span for span in trace.spans if span.error]
    below = [span for span in failed if culprit_of(span) is not None]
    return next(iter(below or failed), None)


def culprit_of(span: Span) -> Culprit | None:
    """Return what a span of ours was a call of: a statement, or Docker."""
    if operation := span.attributes.get(_OPERATION):
        return Culprit(Kind.DOCKER_OPERATION, operation)
    if statement := span.attributes.get(_STATEMENT):
        return Culprit(Kind.STATEMENT, statement)
    return None


def dominant(trace: StoredTrace) -> tuple[Culprit, float] | None:
    """Return the calls alike that took most of the request, and their share; None where the
    request spent its time in its own code, or waiting for a thread."""
    whole = trace.root.seconds
    spent: dict[Culprit, float] = defaultdict(float)
    for span in trace.spans:
        if called := culprit_of(span):
            spent[called] += span.seconds
    if not spent or whole <= 0:
        return None
    most = max(spent, key=lambda one: spent[one])
    share = min(1.0, spent[most] / whole)
    return (most, share) if share >= _SHARE else None


def failed_call(trace: StoredTrace) -> Culprit | None:
    """Return the statement or Docker call that failed first; None where none did."""
    failed = first_failed(trace)
    return None if failed is None else culprit_of(failed)


def environment_of(trace: StoredTrace) -> str | None:
    """Return the environment that the trace is about; None where it is about none, or several."""
    found = Counter(id for span in trace.spans for id in _environments(span))
    return next(iter(found)) if len(found) == 1 else None


def environments_in(text: str) -> list[str]:
    """Return the environments that a path names."""
    return _ENVIRONMENT.findall(text)


def request_of(trace: StoredTrace) -> str:
    """Return the id of the request, which is the trace's where it has no other."""
    return trace.root.attributes.get("vibebox.request_id", trace.id)


def most_common(found: Sequence[Culprit]) -> Culprit | None:
    """Return what most of the traces say; the first of several."""
    return Counter(found).most_common(1)[0][0] if found else None


def _environments(span: Span) -> set[str]:
    named = {span.attributes[name] for name in _NAMES if name in span.attributes}
    return named | set(environments_in(span.attributes.get("url.path", "")))
