"""What a dashboard is made of; `model` knows how Grafana writes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from monitoring.grafana.generator import palette
from monitoring.grafana.generator.levels import Thresholds as Thresholds
from monitoring.grafana.generator.levels import steps as steps

Kind = Literal["stat", "timeseries", "bargauge", "table", "state-timeline", "heatmap"]

NOTHING = "no data"
UNKNOWN = "unknown"
NONE = "none"
MEANS = {
    NOTHING: '"no data": nothing of it happened, or Prometheus does not read the service.',
    UNKNOWN: '"unknown": who would tell does not run, or Prometheus does not read the service.',
    NONE: '"none": none is known; where Service status says DOWN, nobody tells.',
}
"""What the words of an empty panel mean; `model` adds it to the description."""

_BAR = "How many in each bar; the total is that of the time shown."

GREEN, BLUE, GREY = steps("ok"), steps("neutral"), steps("rest")


@dataclass(frozen=True)
class Traces:
    """Traces that a panel leads to: those with a span that has all of this.

    Attributes:
        meaning: which they are, in words.
        tags: attributes of the span, or its resource.
        operation: its name.
    """

    meaning: str
    tags: Mapping[str, str] = field(default_factory=dict)
    operation: str = ""


@dataclass(frozen=True)
class Lines:
    """Lines of the service's log that a panel leads to; filters of LogQL say which."""

    meaning: str
    filters: str


@dataclass(frozen=True)
class Leads:
    """Where a panel, or a series of it, leads in a Grafana that has traces and logs."""

    traces: Traces | None = None
    logs: Lines | None = None


@dataclass(frozen=True)
class Query:
    """A query, and the name of its series as a pattern of labels.

    `color` is that of series whose name says nothing about it: the palette has the others.
    """

    expression: str
    legend: str
    color: str = palette.NEUTRAL


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        down: uid of the dashboard with the details; without one the link goes to Explore.
        snapshot: one value for the time shown (an instant query) instead of its course.
        stacked: series lie on one another, from 0 on.
        bounds: least and greatest value of the axis.
        mappings: texts for values, as Grafana writes them.
        sparse: what happens now and then: bars, since a single value makes no line.
        bridged: what is measured now and then: over gaps the last value holds.
        words: of a table: columns with colours for their texts, as mappings.
        by_kind: of bars and numbers: each has the colour of its kind, not that of a threshold.
        columns: of a table: names and units of the values, one for each query; without any the
            values are not shown.
        widths: of a table: names and widths in pixels of columns that would be too wide or narrow.
        linked: of a table: a column whose texts are links, and title and address of those.
        levels: of a table: names of columns that have thresholds of their own.
        digits: of a table: names of columns, and how many digits stand behind their points.
        levels: of a table: columns with thresholds of their own.
        order: of a table: names of labels and values as its columns follow one another, where that
            is not as they come.
        headings: of a table: names of labels, and what stands above them instead.
        height: lines of the grid, where it is not what its kind has.
        named: of a number: its name stands beside it, since that says something.
        decimals: digits behind the point, where Grafana's own choice reads badly.
        logarithmic: each step of the axis is ten times the one before. What is less than its least
            value, the query has to make that.
        worst_is_least: the legend has the least value, not the largest; a table begins with it.
        bar: the least width of a bar, where it is not that of a minute.
        empty: what stands there while there is nothing to show; short, since legends show it for a
            series without a value. It cannot tell "nothing happened"
            from "nobody says": so it never says the first.
        exemplars: single requests are dots on the curves (of the first query: all read the same).
        leads: to which traces and log lines the panel leads.
        series_leads: the same of the series, or the row, that was clicked; of the first query.
    """

    title: str
    kind: Kind
    width: int
    description: str
    queries: tuple[Query, ...]
    unit: str
    thresholds: Thresholds = GREEN
    down: str | None = None
    snapshot: bool = False
    stacked: bool = False
    bounds: tuple[float | None, float | None] = (None, None)
    mappings: Mapping[str, Mapping[str, Any]] | None = None
    sparse: bool = False
    bridged: bool = False
    by_kind: bool = False
    words: tuple[tuple[str, Mapping[str, Mapping[str, Any]]], ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    widths: tuple[tuple[str, int], ...] = ()
    linked: tuple[str, str, str] | None = None
    levels: tuple[tuple[str, Thresholds], ...] = ()
    digits: tuple[tuple[str, int], ...] = ()
    order: tuple[str, ...] = ()
    headings: tuple[tuple[str, str], ...] = ()
    height: int | None = None
    named: bool = False
    decimals: int | None = None
    logarithmic: bool = False
    worst_is_least: bool = False
    bar: str | None = None
    empty: str | None = None
    exemplars: bool = False
    leads: Leads | None = None
    series_leads: Leads | None = None


@dataclass(frozen=True)
class Row:
    """Panels under a heading; they fill lines of 24 columns.

    `added` rows are numbered after the others, wherever they stand: links go by number.
    """

    title: str
    panels: tuple[Panel, ...]
    added: bool = False


@dataclass(frozen=True)
class Board:
    """One dashboard.

    `choices` are those at its top, as Grafana writes them, where they are not the usual ones;
    `marks`: alerts that fire are marked in its curves unless somebody turns that off;
    `interval` is how often its series are scraped, where that is not as often as the service.
    """

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    choices: tuple[Mapping[str, Any], ...] = ()
    interval: str = ""
    time: str = "now-1h"
    refresh: str = "30s"
    marks: bool = True

    @property
    def panels(self) -> Iterator[Panel]:
        """The panels in their order."""
        return (panel for row in self.rows for panel in row.panels)


def stat(
    title: str, width: int, expression: str, legend: str, description: str, unit: str, **more: Any
) -> Panel:
    """Return a panel with a large number for each series, as it is now.

    An instant query: of a course, Grafana would show the last value for as long as it is in the
    time shown, though its source is gone.
    """
    query = Query(expression, legend)
    options = {"empty": NOTHING, **more}
    return Panel(title, "stat", width, description, (query,), unit, snapshot=True, **options)


def graph(
    title: str, width: int, description: str, unit: str, *queries: tuple[str, ...], **more: Any
) -> Panel:
    """Return a panel with curves; each query with its legend, and maybe a colour."""
    found = tuple(Query(*query) for query in queries)
    options = {"empty": NOTHING, **more}
    return Panel(title, "timeseries", width, description, found, unit, **options)


def events(
    title: str,
    width: int,
    description: str,
    unit: str,
    *queries: tuple[str, ...],
    whole: str,
    **more: Any,
) -> Panel:
    """Return a panel of what happens now and then: bars on one another.

    Each bar is as many events as happened in it (`promql.in_bars`), so that the legend's sum is how
    many happened in the time shown. `whole` is the sum of all of it. Its place is the legend, which
    says 0 where nothing happened: an empty grid would look like a panel that is broken.
    """
    found = (*queries, (whole, palette.WHOLE))
    options = {"sparse": True, "stacked": True, "decimals": 0, **more}
    return graph(title, width, f"{description} {_BAR}", unit, *found, **options)


def timeline(
    title: str,
    width: int,
    description: str,
    *queries: tuple[str, ...],
    mappings: Mapping[str, Mapping[str, Any]],
    **more: Any,
) -> Panel:
    """Return a panel that shows which state each series had, and when: a bar for each."""
    found = tuple(Query(*query) for query in queries)
    options = {"empty": NOTHING, "mappings": mappings, **more}
    return Panel(title, "state-timeline", width, description, found, "none", **options)


def heatmap(title: str, width: int, description: str, expression: str, **more: Any) -> Panel:
    """Return a panel of how many events took how long; single ones are dots.

    `expression` is events a second by the bounds of a histogram in seconds.
    """
    options = {"empty": NOTHING, "exemplars": True, **more}
    query = Query(expression, "{{le}}")
    return Panel(title, "heatmap", width, description, (query,), "s", **options)


def shares(
    title: str, width: int, expression: str, legend: str, description: str, unit: str, **more: Any
) -> Panel:
    """Return bars of the parts of a whole, over the time shown, each in the colour of its kind.

    Parts that are nothing have no bar: it would be a sliver in the colour of what did not happen.
    """
    query = Query(f"sort_desc({expression} > 0)", legend)
    options = {"empty": NOTHING, "by_kind": True, **more}
    return Panel(title, "bargauge", width, description, (query,), unit, snapshot=True, **options)


def bars(
    title: str, width: int, expression: str, legend: str, description: str, unit: str, **more: Any
) -> Panel:
    """Return bars side by side, of the time shown, in colours of their thresholds."""
    query = Query(expression, legend)
    options = {"empty": NOTHING, **more}
    return Panel(title, "bargauge", width, description, (query,), unit, snapshot=True, **options)
