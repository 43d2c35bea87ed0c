"""What stands around the panels of every dashboard: its choices and the marks on its curves."""

from typing import Any

from monitoring.grafana.generator import palette
from monitoring.grafana.generator.promql import INTERVAL, everywhere, select

DATASOURCE_UID = "vibebox-prometheus"
"""uid of the data source, as provisioned; the choice at the top begins with it."""

SERVICE_NAME = "vibebox"
"""What the service calls itself in traces and logs, unless OTEL_SERVICE_NAME says otherwise."""

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_KNOWN = "vibebox_build_info"
ANY = "..*"
"""Every value but none. A plus sign would be a space in the addresses that links lead to."""


def variables() -> list[dict[str, Any]]:
    """Return the choices: data source, job, instance."""
    return [
        datasource(),
        # All of them means those that are VibeBox: Prometheus, which scrapes itself and others
        # too, has an `up` of theirs, and theirs is not the service's status.
        choice("job", f"label_values({_KNOWN}, job)", everything=None),
        choice("instance", f'label_values({_KNOWN}{{job=~"$job"}}, instance)', everything=ANY),
    ]


def datasource() -> dict[str, Any]:
    """Return the choice of the data source."""
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "Prometheus", "value": DATASOURCE_UID},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "refresh": 1,
        "regex": "",
    }


def service() -> dict[str, Any]:
    """Return the choice of whose traces and log lines the links lead to."""
    name = {"text": SERVICE_NAME, "value": SERVICE_NAME}
    return {
        "name": "service",
        "label": "Service of traces and logs",
        "description": "OTEL_SERVICE_NAME of the installation, where it is not vibebox",
        "type": "textbox",
        "query": SERVICE_NAME,
        "current": dict(name),
        "options": [{**name, "selected": True}],
        "hide": 0,
    }


def choice(name: str, query: str, everything: str | None) -> dict[str, Any]:
    """Return a choice of several values of a query; `everything`: what stands for all of them."""
    found = {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": dict(_SOURCE),
        "definition": query,
        "query": {"query": query, "refId": f"{name}-values"},
        "current": {"text": "All", "value": "$__all"},
        "hide": 0,
        "includeAll": True,
        "multi": True,
        # 2: whenever the time shown changes.
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }
    return {**found, "allValue": everything} if everything else found


_FIRING = "Firing: "


def annotations(chosen: bool = True, alerts: bool = True) -> list[dict[str, Any]]:
    """Return the marks: alerts that fire, restarts of a server, and releases.

    chosen: whether jobs and instances can be chosen on the dashboard.
    alerts: whether alerts are marked at first; whoever wants it turns it on or off.
    """
    found = [
        {**mark, "enable": alerts or not mark["name"].startswith(_FIRING)} for mark in _marks()
    ]
    if not chosen:
        found = [{**mark, "expr": everywhere(_of_ours(mark["expr"]))} for mark in found]
    return found


def _of_ours(expression: str) -> str:
    """Return a query of alerts of no job but those that are VibeBox: others are not its marks."""
    ours = f"and on (job) group by (job) ({_KNOWN})"
    return f"{expression} {ours}" if expression.startswith("ALERTS") else expression


def _restarts() -> str:
    """Return the masters that have started since Prometheus looked an interval ago.

    However long nobody answered in between: what changed is not in a range that begins in the gap.
    """
    started = select("vibebox_process_start_time_seconds", 'worker="master"')
    before = f"timestamp({select('up')} offset {INTERVAL})"
    return f"{started} > on (job, instance) group_left () {before}"


def _releases() -> str:
    """Return the versions that run now and did not an interval ago, or not in the hour before.

    The first version that Prometheus ever saw is no release.
    """
    running = f"group by (version) ({select(_KNOWN)})"
    before = (
        f"({select(_KNOWN)} offset {INTERVAL})",
        f"(last_over_time({select(_KNOWN)}[1h] offset {INTERVAL}))",
    )
    return " or ".join(
        f"{running} unless group by (version) {then} and on () group {then}" for then in before
    )


def _marks() -> list[dict[str, Any]]:
    return [
        *(
            _mark(
                f"{_FIRING}{severity}",
                color,
                f'ALERTS{{alertstate="firing",severity="{severity}",job=~"$job"}}',
                title="{{alertname}}",
                text="{{severity}} {{instance}}",
                tags="alertname,severity",
            )
            for severity, color in palette.SEVERITIES.items()
        ),
        _mark(
            "Restarts",
            palette.BLUE,
            _restarts(),
            title="Restart",
            text="{{instance}}",
            tags="instance",
        ),
        _mark(
            "Releases",
            palette.VIOLET,
            _releases(),
            title="Release",
            text="{{version}}",
            tags="version",
        ),
    ]


def _mark(
    name: str, color: str, expression: str, *, title: str, text: str, tags: str
) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": dict(_SOURCE),
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": expression,
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": tags,
        "useValueForTime": False,
    }
