"""Panels of one number read from sources that are known, and none is left out where one is gone.

That they show nothing then is tested where the sources are ended for real:
tests/end_to_end/alerts.
"""

from tests.monitoring.boards.stats import sources_of, stats, still_shown


def test_every_panel_of_one_number_is_asked() -> None:
    asked: dict[str, list[str]] = {}
    for source in ("target", "agent", "database"):
        shown = still_shown(lambda _query: [({}, 0.0)], source)
        asked[source] = [text.partition(": [")[0] for text in shown]

    assert "telemetry: Records unlike Docker" in asked["agent"]
    assert "environments: Running" in asked["database"]
    of_prometheus = {title for title, expression in stats() if not sources_of(expression)}
    assert set(asked["target"]) == {title for title, _ in stats()} - of_prometheus
    assert of_prometheus == {
        "vibebox-overview: Service status",
        "vibebox-overview: Alerts firing",
        "telemetry: Scraped",
        "telemetry: Scrape time now",
        "telemetry: Samples in a scrape",
    }
