"""Writes the dashboards: `python -m monitoring.grafana.generator`.

A module for each dashboard holds its panels as a table; `promql` has the words its queries are
made of, `panels` what a panel is, and `model` turns all of it into Grafana's classic JSON, where
whatever panels share is said once. The JSON is committed; a test fails when it is not what this
package writes.
"""

from monitoring.grafana.generator import (
    api_performance,
    business,
    environments,
    overview,
    slo,
    team,
    telemetry,
)
from monitoring.grafana.generator.panels import Board

BOARDS: tuple[Board, ...] = (
    overview.BOARD,
    api_performance.BOARD,
    environments.BOARD,
    slo.BOARD,
    team.BOARD,
    business.BOARD,
    telemetry.BOARD,
)
