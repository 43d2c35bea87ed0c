"""The words that queries about teams are made of.

Every instance tells what the one database says, so that of several the largest counts. A gauge is
looked at as it is; a total of the ledger rises when it books, every VIBEBOX_USAGE_INTERVAL.
"""

from monitoring.grafana.generator.promql import INTERVAL, RANGE, TEAM, in_time, since_a_bar


def gauge(name: str, by: str, *matchers: str) -> str:
    """Return a gauge by these labels, of the chosen teams."""
    return f"max by ({by}) ({name}{{{','.join((TEAM, *matchers))}}})"


def used(what: str, by: str = "team", over: str = INTERVAL) -> str:
    """Return how fast teams use something, by the second."""
    return f"max by ({by}) (rate(vibebox_team_{what}_total{{{TEAM}}}[{over}]))"


def in_bars(what: str) -> str:
    """Return how many of what the ledger counts each bar of a panel has.

    The ledger's totals are never set back, and are scraped too rarely for a range to meet each bar:
    a difference is exact. Over a gap in the scrapes it is that to what was known before.
    """
    total = f"vibebox_team_{what}_total{{{TEAM}}}"
    return in_time(f"max by (team) ({since_a_bar(total, '1h')})")


def rises(what: str) -> str:
    """Return how much teams used in the time shown."""
    return f"max by (team) (increase(vibebox_team_{what}_total{{{TEAM}}}[{RANGE}]))"


def of_environments(what: str, shown: bool = False) -> str:
    """Return how fast environments of the chosen teams use something.

    shown: over the time shown, at each moment the same; so a graph chooses which it has.
    """
    place = f"[{RANGE}] @ end()" if shown else f"[{INTERVAL}]"
    series = f"vibebox_environment_{what}_total{{{TEAM}}}"
    return f"max by (environment, project) (rate({series}{place}))"


def killed_in_environments() -> str:
    """Return how many processes were killed for want of memory in each in the time shown."""
    series = f"vibebox_environment_oom_kills_total{{{TEAM}}}"
    return f"max by (environment, project) (increase({series}[{RANGE}]))"
