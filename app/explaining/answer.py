"""The answer: an explanation as the API, the console and `vibebox explain` show it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.explaining.kinds import Kind

HIDDEN_SIGNALS = "hidden: ask an operator"
HIDDEN_ENVIRONMENT = "hidden: ask whoever may read that environment"

Missing = Annotated[
    str | None,
    Field(
        description="Why there is nothing, or not all: the setting or the reason. null where "
        "nothing is missing.",
        examples=["VIBEBOX_TRACE_STORE_URL is not set"],
    ),
]
Labels = dict[str, str]


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class CulpritView(_View):
    """What the alert comes from."""

    kind: Kind = Field(examples=["route"])
    id: str = Field(examples=["/api/v1/environments/<environment_id>/start"])


class StepView(_View):
    """A step on the way to the culprit; the last one names it."""

    culprit: CulpritView
    because: str = Field(examples=["the worst of 7 (12.4)"])


class AlertAsked(_View):
    """The alert that is explained."""

    name: str = Field(examples=["HighAPIErrorRate"])
    fingerprint: str | None
    labels: Labels
    summary: str
    runbook_url: str | None
    firing: bool
    starts_at: datetime | None


class SeriesView(_View):
    """A series of the alert's expression, without its threshold."""

    labels: Labels
    value: float | None = Field(description="Now; null where it is no finite number.")


class SeriesPart(_View):
    """The series, the worst first."""

    items: list[SeriesView] = []
    missing: Missing = None


class ExemplarView(_View):
    """A request that a series names."""

    labels: Labels = Field(description="`trace_id`, or `request_id` where it is not traced.")
    series: Labels
    value: float
    at: datetime


class ExemplarPart(_View):
    """Exemplars of the worst series."""

    items: list[ExemplarView] = []
    missing: Missing = None


class SpanView(_View):
    """A span of a trace."""

    name: str = Field(examples=["SELECT teams"])
    kind: str
    began: datetime
    seconds: float
    own_seconds: float = Field(description="Without those of the spans below it.")
    error: str = Field(description="Empty where it did not fail.")


class TraceView(_View):
    """A trace: what it was, what took longest in it, what failed."""

    trace_id: str
    request_id: str
    name: str
    began: datetime
    seconds: float
    spans: int
    slowest: SpanView
    failed: SpanView | None
    environment_id: str | None


class TracePart(_View):
    """The traces that the exemplars name, or that the store found."""

    items: list[TraceView] = []
    missing: Missing = None


class RequestLine(_View):
    """A line of the service's own log."""

    at: datetime
    level: str
    event: str
    fields: Labels


class LinePart(_View):
    """The log lines of those requests, in the order of time."""

    items: list[RequestLine] = []
    missing: Missing = None


class ContainerLine(_View):
    """A line that a container wrote."""

    at: str
    stream: str
    line: str


class EnvironmentView(_View):
    """An environment that the alert touches, its last exit, and its log around that second."""

    id: str
    name: str | None = None
    status: str | None = None
    exit_reason: str | None = None
    exit_code: int | None = None
    exited_at: datetime | None = None
    log: list[ContainerLine] = []
    missing: Missing = None


class EnvironmentPart(_View):
    """The environments that the requests were about."""

    items: list[EnvironmentView] = []
    missing: Missing = None


class Explanation(_View):
    """What stands behind an alert, as far as the caller may read it."""

    alert: AlertAsked
    culprit: CulpritView | None = Field(description="null where none was found, or is hidden.")
    culprit_missing: Missing
    steps: list[StepView]
    expression: str | None = Field(description="Of the rule, as Prometheus has it.")
    series: SeriesPart
    exemplars: ExemplarPart
    traces: TracePart
    lines: LinePart
    environments: EnvironmentPart


def shown_number(value: float) -> float | None:
    """Return a number as JSON can hold it; None for infinity."""
    return value if abs(value) < float("inf") else None


def pairs(labels: Any) -> Labels:
    """Return labels without the name of the metric."""
    return {name: value for name, value in labels.items() if name != "__name__"}
