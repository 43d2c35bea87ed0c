"""Colours can be read and told apart, and what they say is what alerts say."""

import re
from collections.abc import Iterator
from itertools import chain, combinations
from typing import Any

import pytest

from app.core.setting_values import PRICED
from app.domain.usage.prices import cost
from monitoring.grafana.generator import BOARDS, costs, palette
from monitoring.grafana.generator.drawing import field_config, options
from monitoring.grafana.generator.levels import Step
from monitoring.grafana.generator.panels import Panel
from monitoring.rules.alerts.alerting import WATCHDOG
from monitoring.rules.sources import all_alerts
from tests.monitoring.boards.known import samples
from tests.monitoring.boards.vision import EYES, contrast, distance

DARK, LIGHT = "#181B1F", "#FFFFFF"
"""What Grafana's panels are drawn on."""
LEAST_CONTRAST, LEAST_DISTANCE = 3, 12
TEXT, OF_TEXT = "#F7F8FA", 4.5
"""What Grafana writes in where the ground is as dark as fills are, and its least contrast."""
GROUND = {"type": "color-background", "mode": "basic"}
"""How cells are coloured: with Grafana's other mode the ground would be lighter than the fill."""
OF_A_KIND = 10
"""Least distance of the tints of a colour from one another."""
OPEN = {"currency", "instance", "team", "project", "environment", "family"}
"""Labels that have as many values as there are things, or as the operator chooses."""
_LABEL = re.compile(r"{{(\w+)}}")
_BOUND = re.compile(r"[<>]=?\s*(-?[\d.]+)(?![\w.])")
_MINUTES = re.compile(r"\[(\d+m)\]")
BY_ALERTS = {
    palette.SEVERITIES[alert.severity]
    for alert in all_alerts()
    if alert.name != WATCHDOG  # tells of nothing that is wrong
} - {palette.NOTICE}
UNWATCHED = {
    # What no alert of one number is about.
    *("Errors (5xx, 5 min)", "Server error ratio", "Failed starts (time shown)"),
    # Readiness, and what is either so or not.
    *("Readiness checks", "Readiness over time", "Service status", "Scraped", "Health checks"),
    *("An agent leads", "Docker answers", "Trouble with the directory of the metrics"),
    # Budgets: their alerts compare burn rates over two windows.
    *("Availability budget", "Latency budget", "Error budget left"),
    *(f"{each} burn rate (1 h)" for each in ("Latency", "Availability", "Synthetic user")),
    *("Latency burn rates", "Availability burn rates"),
    # The alert on the synthetic user compares its age with an interval of the settings.
    *("Synthetic user budget left", "Steps of the synthetic user", "Last round"),
    # The alert compares two times.
    "Since each loop came round",
    # The alert on kills is about containers that ended by them.
    *("Kills (time shown)", "Kills by environment"),
    # A deadline, and what is refused beyond.
    *("Time of health checks", "Quota", "Quota by team", "Teams"),
}
"""Panels whose colours warn of something that no alert compares with that number."""


@pytest.mark.parametrize(
    "color", sorted({*palette.ALL, *chain(*palette.TINTS.values(), *palette.KINDS)})
)
def test_colors_are_legible_on_light_and_dark(color: str) -> None:
    assert min(contrast(color, ground) for ground in (DARK, LIGHT)) >= LEAST_CONTRAST


def test_texts_on_fills_can_be_read() -> None:
    filled = [panel for board in BOARDS for panel in board.panels if panel.mappings]
    assert {panel.kind for panel in filled} == {"stat", "state-timeline"}
    for panel in filled:
        for state in (panel.mappings or {}).values():
            assert contrast(state["color"], TEXT) >= OF_TEXT, panel.title
        # Grafana's other way of filling is a gradient towards a lighter colour.
        assert options(panel).get("colorMode", "background_solid") == "background_solid"
        assert field_config(panel)["defaults"].get("custom", {}).get("fillOpacity", 100) == 100


def test_cells_of_tables_can_be_read() -> None:
    """White text on what is filled; what is not has the text of the theme."""
    seen = set()
    for panel in (panel for board in BOARDS for panel in board.panels if panel.kind == "table"):
        config = field_config(panel)
        for place in (config["defaults"], *map(_properties, config["overrides"])):
            assert place.get("custom.cellOptions", GROUND) == GROUND
            grounds = [step["color"] for step in place.get("thresholds", {}).get("steps", ())]
            for mapping in place.get("mappings", ()):
                found = mapping["options"]
                states = [found["result"]] if mapping["type"] == "special" else found.values()
                grounds += [state["color"] for state in states]
            for ground in {*grounds} - {palette.BARE}:
                assert contrast(ground, TEXT) >= OF_TEXT, (panel.title, ground)
            seen |= {*grounds}
    assert {palette.BARE, *map(palette.FILLS.get, palette.SEVERITIES.values())} <= seen


def _properties(override: dict[str, Any]) -> dict[str, Any]:
    return {each["id"]: each["value"] for each in override["properties"]}


def test_values_beside_bars_have_the_text_of_the_theme() -> None:
    bars = [panel for board in BOARDS for panel in board.panels if panel.kind == "bargauge"]
    assert {options(panel)["valueMode"] for panel in bars} == {"text"}


@pytest.mark.parametrize("eyes", EYES)
def test_fills_can_be_told_apart(eyes: str) -> None:
    levels = [palette.FILLS[color] for color in palette.SEVERITIES.values()]
    assert min(distance(*pair, eyes) for pair in combinations(levels, 2)) >= OF_A_KIND


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_colors_can_be_told_apart(eyes: str) -> None:
    near = {
        pair: found
        for pair in combinations(palette.ALL, 2)
        if (found := distance(*pair, eyes)) < LEAST_DISTANCE
    }
    assert near == {}


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("color", palette.TINTS)
def test_tints_can_be_told_apart(color: str, eyes: str) -> None:
    near = {
        pair: found
        for pair in combinations(palette.TINTS[color], 2)
        if (found := distance(*pair, eyes)) < OF_A_KIND
    }
    assert near == {}


@pytest.mark.parametrize("eyes", EYES)
def test_kinds_can_be_told_apart_in_bars_too(eyes: str) -> None:
    """From one another, and from what says how well something is."""
    often = [palette.MEANINGS["operation"][each].color for each in palette.OFTEN_CALLED]
    assert len({*often}) == len(often)
    drawn = [*chain(*palette.KINDS)]
    judging = (palette.OK, palette.NOTICE, palette.WARNING, palette.CRITICAL, palette.REST)
    pairs = combinations((*drawn, *judging), 2)
    assert {pair for pair in pairs if distance(*pair, eyes) < OF_A_KIND} == set()


def test_eyes_and_contrasts_are_as_they_are_known() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21, abs=0.01)
    # A red and a green that many people confuse.
    assert (
        distance("#C43C00", "#6B8000", "all")
        > 60
        > 20
        > distance("#C43C00", "#6B8000", "deuteranopia")
    )
    assert distance("#FFFFFF", "#808080", "protanopia") > 40


def test_every_value_of_a_label_has_a_look() -> None:
    """A value that joins a list later is not drawn in a colour of nothing."""
    wanted = {"operation", "task", "check", "stream", "outcome", "phase", "limit", "collector"}
    for sample in samples().values():
        for label in wanted & set(sample.labels):
            assert set(sample.labels[label] or ()) - {"other"} <= set(palette.MEANINGS[label])
    # There are steps of a funnel too, which no graph tells apart.
    steps = samples()["vibebox_probe_failures_total"].labels["step"]
    assert steps and steps - {"other"} <= set(palette.MEANINGS["step"])


def test_loops_that_fail_together_are_told_apart() -> None:
    drawn = [palette.MEANINGS["task"][loop].color for loop in palette.NEED_DOCKER]
    assert len({*drawn}) == len(drawn) > 5
    assert {*map(str, palette.NEED_DOCKER)} < palette.MEANINGS["task"].keys()


def test_shades_are_of_what_has_no_closed_set() -> None:
    """Grafana makes shades of what has no look: of a label with few values, that are not tested."""
    drawn = {
        label
        for board in BOARDS
        for panel in board.panels
        if panel.kind == "timeseries"
        for query in panel.queries
        for label in _LABEL.findall(query.legend)
    }
    assert drawn - palette.MEANINGS.keys() - palette.PATTERNS.keys() == OPEN


def _steps() -> Iterator[tuple[Panel, Step]]:
    for board in BOARDS:
        for panel in board.panels:
            for step in panel.thresholds:
                yield panel, step


def test_thresholds_of_alerts_are_those_of_the_rules() -> None:
    alerts = {alert.name: alert for alert in all_alerts()}
    seen = [(panel, step) for panel, step in _steps() if step.alert]
    assert len(seen) > 20
    for panel, step in seen:
        assert step.value is not None
        alert, value = alerts[step.alert], step.value
        bounds = {float(found) for found in _BOUND.findall(alert.expression)}
        # More than 5 of what is counted are 6.
        more = {bound + 1 for bound in bounds if bound.is_integer() and panel.unit == "none"}
        assert value in bounds | more, (panel.title, step.alert, bounds)
        assert palette.SEVERITIES[alert.severity] == step.color


def test_numbers_at_levels_of_alerts_are_of_the_time_that_alerts_look_at() -> None:
    alerts = {alert.name: alert.expression for alert in all_alerts()}
    seen = set()
    for panel, step in _steps():
        if panel.kind != "stat" or not step.alert:
            continue
        for query in panel.queries:
            # How many there were is a number of the time shown, and says so.
            assert "rate(" not in query.expression or "[$__range]" not in query.expression
            windows = set(_MINUTES.findall(query.expression))
            assert windows <= {*_MINUTES.findall(alerts[step.alert])}, (panel.title, step.alert)
            seen |= windows
    assert seen == {"5m", "10m"}


def test_colors_of_alerts_are_thresholds_of_alerts() -> None:
    """Where a number turns to the colour of a warning, there is a warning."""
    bare = {panel.title for panel, step in _steps() if step.color in BY_ALERTS and not step.alert}
    assert bare == UNWATCHED


def test_costs_are_those_of_the_ledger() -> None:
    assert set(costs.UNITS) == set(costs.KINDS) == set(PRICED)
    assert set(costs.KINDS.values()) == set(palette.MEANINGS["kind"])
    for unit, (what, divisor) in costs.UNITS.items():
        sums = dict.fromkeys(SUMS, 0)
        nanoseconds = what.endswith("_seconds") and not what.endswith("byte_seconds")
        sums[SUMS_OF[what]] = 3 * divisor * (10**9 if nanoseconds else 1)
        assert cost({unit: 2}, sums) == 6, unit


SUMS_OF = {
    "running_seconds": "running_ns",
    "cpu_seconds": "cpu_ns",
    "memory_byte_seconds": "memory_byte_seconds",
    "network_received_bytes": "network_rx_bytes",
    "network_sent_bytes": "network_tx_bytes",
    "block_read_bytes": "block_read_bytes",
    "block_written_bytes": "block_write_bytes",
    "volume_byte_seconds": "volume_byte_seconds",
    "layer_byte_seconds": "layer_byte_seconds",
}
"""Columns of the ledger by the names of their series."""
SUMS = tuple(SUMS_OF.values())
