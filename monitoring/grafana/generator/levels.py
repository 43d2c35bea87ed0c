"""Steps of thresholds: from which value on something is worth a look, a warning, or a page.

What an alert says is taken from monitoring/rules: how severe it is there is its colour here, and a
test holds that its expression compares with the same number.
"""

from functools import cache
from typing import NamedTuple

from monitoring.grafana.generator import palette
from monitoring.rules.sources import all_alerts


class Step(NamedTuple):
    """From this value on the colour holds; the first step has none. `alert`: whose it is."""

    color: str
    value: float | None
    alert: str = ""


Thresholds = tuple[Step, ...]


def steps(base: str, **above: float) -> Thresholds:
    """Return thresholds: the level to begin with, and from which value on another one holds.

    Levels are those of the palette: ok, notice, warning, critical, neutral, rest.
    """
    return tuple(
        Step(palette.LEVELS[level], value) for level, value in ((base, None), *above.items())
    )


def filled(thresholds: Thresholds) -> Thresholds:
    """Return thresholds for grounds of cells: dark enough for white text, and none where all is
    well."""
    grounds = {**palette.FILLS, palette.OK: palette.BARE}
    return tuple(step._replace(color=grounds.get(step.color, step.color)) for step in thresholds)


def watched(*, notice: float | None = None, **alerts: float) -> Thresholds:
    """Return the thresholds of alerts, by name; before them one from which on to take notice.

    Raises KeyError where there is no such alert.
    """
    found = [
        Step(palette.SEVERITIES[_severities()[name]], value, name) for name, value in alerts.items()
    ]
    if notice is not None:
        found.append(Step(palette.NOTICE, notice))
    return (*steps("ok"), *sorted(found, key=lambda step: step.value or 0))


@cache
def _severities() -> dict[str, str]:
    return {alert.name: alert.severity for alert in all_alerts()}
