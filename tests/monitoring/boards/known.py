"""What queries may read: the catalogue's families, what Prometheus adds, and recorded rules."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from app.metrics import catalogue, team_quotas, usage_series
from app.storage import EnvironmentStatus
from prefork_metrics.family import OTHER

ROOT = Path(__file__).parents[3]
RULES = ROOT / "monitoring" / "prometheus"
_COUNTED_IN_DATABASE = (
    "environments",
    "sessions",
    "users",
    "business_signups",
    "business_accounts",
    "business_funnel",
    "business_shell_accounts",
    "business_active_accounts",
    "business_second_week_accounts",
)
_OF_A_SCRAPE = ("up", "scrape_duration_seconds", "scrape_samples_scraped")
TARGET_LABELS = frozenset({"job", "instance"})
Sort = Literal["counter", "gauge", "bucket", "database", "recorded", "alerts", "ledger", "team"]


@dataclass(frozen=True)
class Sample:
    """What can be selected by one name; `values` of a label: all it takes, None: any."""

    sort: Sort
    labels: dict[str, frozenset[str] | None]


@cache
def samples() -> dict[str, Sample]:
    """Return everything that a query may select, by name."""
    found = {name: Sample("gauge", {}) for name in _OF_A_SCRAPE}
    of_alerts = dict.fromkeys(("alertname", "severity", "component"))
    found["ALERTS"] = Sample("alerts", {**of_alerts, "alertstate": None})
    found["ALERTS_FOR_STATE"] = Sample("alerts", {**of_alerts})
    for family in catalogue.registry.families:
        labels = {
            label: None if values is None else frozenset({*map(str, values), OTHER})
            for label, values in family.labels.items()
        }
        found |= _of_family(family.name, family.kind, labels)
    return found | _recorded() | _of_teams()


def _of_teams() -> dict[str, Sample]:
    """Return what `collect[]` shows of teams and environments."""
    of: dict[str, tuple[str, ...]] = {
        "team": ("team_id", "team"),
        "environment": ("environment_id", "environment", "project", "team"),
    }
    found = {
        f"vibebox_{part}_{family.name}_total": Sample("ledger", dict.fromkeys(labels))
        for part, labels in of.items()
        for family in usage_series.FAMILIES
    }
    statuses, resources = map(frozenset, (map(str, EnvironmentStatus), team_quotas.RESOURCES))
    team = dict.fromkeys(of["team"])
    quota = Sample("team", {**team, "resource": resources})
    return found | {
        "vibebox_team_environments": Sample("team", {**team, "status": statuses}),
        "vibebox_team_quota_limit": quota,
        "vibebox_team_quota_used": quota,
        "vibebox_team_log_bytes": Sample("team", {**team}),
        "vibebox_usage_price": Sample("team", dict.fromkeys(("unit", "currency"))),
    }


def _recorded() -> dict[str, Sample]:
    """Return what rules record; their labels are those that they add, and the job."""
    found: dict[str, dict[str, frozenset[str] | None]] = {}
    for file in sorted(RULES.glob("*.yml")):
        content: Any = yaml.safe_load(file.read_text())
        for group in content.get("groups", []):
            for rule in group["rules"]:
                labels = found.setdefault(rule.get("record"), {})
                for label, value in rule.get("labels", {}).items():
                    labels[label] = (labels.get(label) or frozenset()) | {value}
    return {name: Sample("recorded", labels) for name, labels in found.items() if name}


def _of_family(name: str, kind: str, labels: dict[str, frozenset[str] | None]) -> dict[str, Sample]:
    if kind == "histogram":
        counters = {f"{name}{end}": Sample("counter", labels) for end in ("_count", "_sum")}
        return {**counters, f"{name}_bucket": Sample("bucket", {**labels, "le": None})}
    if name.removeprefix("vibebox_").removesuffix("_total") in _COUNTED_IN_DATABASE:
        return {name: Sample("database", labels)}
    return {name: Sample("counter" if kind == "counter" else "gauge", labels)}


@cache
def labels_by_name() -> dict[str, frozenset[str]]:
    """Return all labels of each name; what is recorded tells no instances apart."""
    return {
        name: frozenset(sample.labels)
        | (TARGET_LABELS - ({"instance"} if sample.sort == "recorded" else set()))
        for name, sample in samples().items()
    }
