"""What panels of one number show, and whether they still do when their source is gone."""

from collections.abc import Callable, Iterator

from monitoring.rules.sources import of_series, series_of
from tests.backends.prometheus import Vector
from tests.monitoring.boards.lint_boards import BOARDS, panels
from tests.monitoring.boards.promql import substituted
from tests.monitoring.boards.window import board
from tests.monitoring.promql import PROMETHEUS_ITS_OWN

Query = Callable[[str], Vector]


def stats() -> Iterator[tuple[str, str]]:
    """Yield title and query of every panel of one number."""
    for name in BOARDS:
        for panel in panels(board(name)):
            if panel["type"] == "stat":
                for target in panel["targets"]:
                    yield f"{name}: {panel['title']}", target["expr"]


def sources_of(expression: str) -> set[str]:
    """Return where a query reads from, other than what Prometheus itself knows."""
    return {
        source
        for name, matchers in series_of(substituted(expression))
        if name not in {*PROMETHEUS_ITS_OWN, "scrape_samples_scraped"}
        for source in of_series(name, matchers)
    }


def still_shown(query: Query, source: str) -> list[str]:
    """Return the panels that show a number though their source is gone."""
    return [
        f"{title}: {found}"
        for title, expression in stats()
        if source in sources_of(expression)
        and (found := query(substituted(expression, __rate_interval="4s", __range="1h")))
    ]
