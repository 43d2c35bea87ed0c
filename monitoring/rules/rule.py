"""The shape of a rule, and what every alert has: labels, links and texts."""

from dataclasses import dataclass
from typing import Any


def _external(label: str, otherwise: str) -> str:
    """Return a template: the address in this external label of Prometheus, else another one."""
    value = f"$externalLabels.{label}"
    # A Prometheus that does not fill in variables there leaves their names: no address either.
    return (
        f'{{{{ if match "^https?://" {value} }}}}{{{{ reReplaceAll "/+$" "" {value} }}}}'
        f"{{{{ else }}}}{otherwise}{{{{ end }}}}"
    )


GRAFANA = _external("grafana_url", "http://localhost:3001")
RUNBOOKS = _external("runbooks_url", "{{ $externalURL }}/user")
CONSOLE = _external("console_url", "http://localhost:3000")
"""Where the links of alerts lead unless `python -m monitoring.rules` is told otherwise: where
external labels of Prometheus say, else to Compose's Grafana, to the service's own console, and to
Prometheus itself, which shows monitoring/runbooks under /user where `--web.user-assets` names them.
"""


@dataclass(frozen=True)
class Links:
    """Addresses of this installation that alerts point to."""

    grafana: str = GRAFANA
    runbooks: str = RUNBOOKS
    console: str = CONSOLE


@dataclass(frozen=True)
class Record:
    """A recording rule; its name is level:metric:operation."""

    name: str
    expression: str
    labels: tuple[tuple[str, str], ...] = ()

    def rule(self, links: Links) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        labels = {"labels": dict(self.labels)} if self.labels else {}
        return {"record": self.name, "expr": self.expression, **labels}


@dataclass(frozen=True)
class Alert:
    """An alert. `pending` is how long its expression has to hold; `signal` names what a warning and
    its critical sibling both watch, and nothing else has one; `annotations` are further ones.

    A new one needs a runbook, tests under monitoring/prometheus/tests, and a fault in
    tests/end_to_end/alerts; tests fail without.
    """

    name: str
    severity: str
    component: str
    pending: str
    expression: str
    summary: str
    description: str
    dashboard: str
    signal: str | None = None
    annotations: tuple[tuple[str, str], ...] = ()

    def rule(self, links: Links) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        labels = {"severity": self.severity, "component": self.component}
        if self.signal is not None:
            labels["signal"] = self.signal
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.pending,
            "labels": labels,
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{links.runbooks}/{self.name}.md",
                "dashboard_url": f"{links.grafana}/d/{self.dashboard}",
                # The link alone: what stands behind it is for who may read it.
                "explanation_url": f"{links.console}/service?explain={self.name}",
                **dict(self.annotations),
            },
        }


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other, in this order."""

    name: str
    rules: tuple[Record | Alert, ...]
