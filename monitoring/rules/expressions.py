"""Pieces of PromQL that more than one rule is made of.

Ratios and quantiles of events carry two floors. One of traffic, written `rate(x[5m]) * 300 >= 5`:
so many events a second, also when a test divides every duration by a factor. And one of the events
that are bad, written `increase(bad[5m]) >= 3`: one failure in a quiet night is a large share of
little, and nobody is to be woken for it.
"""

from monitoring.rules.thresholds import BAD_FLOOR, FLOOR, JOB

OF_JOB = f'job="{JOB}"'
# Probes come every few seconds and take nothing; streams take as long as somebody looks; what no
# route is for comes from strangers, whose 505 would burn the budget, and whose 404 hide that it
# burns; and the synthetic user has an objective of its own.
NO_PROBES = 'route!~"/health.*|synthetic|unmatched|.*/(stream|terminal|events)"'
# Beside those, what waits for a container by design: one that ignores SIGTERM takes 10 s to stop,
# the first reading of its use a second, the start of a VS Code server several. Among ten requests a
# minute, one such would be the p95 of the API. SlowDockerOperations and SlowEnvironmentStarts watch
# them.
NO_WAITING = (
    'route!~"/health.*|synthetic|unmatched|.*/(stream|terminal|events|start|stop|restart|pause|unpause|stats|sessions)'
    '|.*/extensions.*"'
)
_SECONDS = {"2m": 120, "5m": 300, "10m": 600, "1h": 3600}


def select(metric: str, *matchers: str) -> str:
    """Return the series of our job, `matchers` as PromQL has them."""
    return f"{metric}{{{','.join((OF_JOB, *matchers))}}}"


def rates(by: str, metric: str, *matchers: str, window: str = "5m") -> str:
    """Return events a second, summed by these labels."""
    return f"sum by ({by}) (rate({select(metric, *matchers)}[{window}]))"


def increases(by: str, metric: str, *matchers: str, window: str = "5m") -> str:
    """Return how many events there were, summed by these labels."""
    return f"sum by ({by}) (increase({select(metric, *matchers)}[{window}]))"


def slower(seconds: float, by: str, histogram: str, *matchers: str, window: str = "5m") -> str:
    """Return a condition: at least BAD_FLOOR events took longer than a bound of the buckets."""
    # Prometheus 3 writes every bound with a point, whoever it scrapes.
    bound = f'le=~"{seconds:g}(\\\\.0)?"'
    total = increases(by, f"{histogram}_count", *matchers, window=window)
    within = increases(by, f"{histogram}_bucket", *matchers, bound, window=window)
    return f"{total} - {within} >= {BAD_FLOOR}"


def quantile(q: float, by: str, histogram: str, *matchers: str, window: str = "5m") -> str:
    """Return the quantile of a histogram over all series that share the labels `by`."""
    buckets = rates(f"{by}, le", f"{histogram}_bucket", *matchers, window=window)
    return f"histogram_quantile({q}, {buckets})"


def floor(rate: str, least: int = FLOOR, window: str = "5m") -> str:
    """Return a condition: at least so many events in the window."""
    return f"{rate} * {_SECONDS[window]} >= {least}"


def either(*conditions: str) -> str:
    """Join conditions of which one has to hold, a line each."""
    return "\nor\n".join(conditions)


def both(*conditions: str) -> str:
    """Join conditions that have to hold together, a line each."""
    return "\nand\n".join(conditions)


def ratio(part: str, whole: str, condition: str) -> str:
    """Return a condition on the share of `part` in `whole`, three lines."""
    return f"{part}\n/\n{whole}\n{condition}"
