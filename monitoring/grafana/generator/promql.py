"""The words that the queries of the panels are made of.

A counter is read with `rate` or `increase` over `INTERVAL` (graphs) or `RANGE` (snapshots of the
whole time shown). A quantile sums over `le` first. What the database counts is read with `max`:
every instance tells the same number.
"""

JOB = 'job=~"$job"'
SCOPE = f'{JOB},instance=~"$instance"'
"""What every selector carries: the choice at the top of the dashboard."""
TEAM = 'team=~"$team"'
"""The same of the dashboard of teams."""

USERS = 'route!~"/health.*|synthetic|unmatched|.*/(stream|terminal|events)"'
"""Requests of users: probes and streams that live long would poison rates and latencies, and so
would what strangers ask for that no route is for."""

NO_PROBES = 'route!~"/health.*"'

FAILED = 'status_code=~"5.."'

INTERVAL = "$__rate_interval"
RANGE = "$__range"

REQUESTS = "vibebox_http_requests_total"
DURATION = "vibebox_http_request_duration_seconds"
ERRORS = "vibebox_api_errors_total"
STATEMENTS = "vibebox_db_query_duration_seconds"
DOCKER = "vibebox_docker_operations_total"
DOCKER_TIME = "vibebox_docker_operation_duration_seconds"


CHOICES = ("job", "instance", "team")


def in_an_address(expression: str) -> str:
    """Return a query with what is chosen as it arrives in an address: values with `|` between.

    Grafana would escape their dots, and an escaped dot is no JSON, which such an address holds.
    """
    for choice in CHOICES:
        expression = expression.replace(f'"${choice}"', f'"${{{choice}:pipe}}"')
    return expression


def everywhere(expression: str) -> str:
    """Return a query without what is chosen at the top of the dashboard."""
    for choice in (SCOPE, JOB, TEAM):
        for written in (f"{choice},", f",{choice}", choice):
            expression = expression.replace(written, "")
    return expression


def select(name: str, *matchers: str) -> str:
    """Return the series of a family that the dashboard's choice leaves."""
    return f"{name}{{{','.join((SCOPE, *matchers))}}}"


def recorded(name: str, objective: str = "") -> str:
    """Return what a rule records, of an objective if one is named; it knows jobs alone."""
    matchers = [JOB, *([f'slo="{objective}"'] if objective else [])]
    return f"{name}{{{','.join(matchers)}}}"


def by_duration(name: str, *matchers: str) -> str:
    """Return events a second of a histogram by its bounds, for a heatmap."""
    return total(rate(f"{name}_bucket", *matchers), "le")


def select_alerts(*matchers: str, name: str = "ALERTS") -> str:
    """Return the alerts of the chosen jobs; not every alert is about one instance."""
    return f"{name}{{{','.join((JOB, *matchers))}}}"


def rate(name: str, *matchers: str, over: str = INTERVAL, shown: bool = False) -> str:
    """Return how fast a counter rises, by the second.

    shown: over the time shown, at each moment the same; so a graph chooses which series it has.
    """
    place = f"[{RANGE}] @ end()" if shown else f"[{over}]"
    return f"rate({select(name, *matchers)}{place})"


def in_time(bars: str) -> str:
    """Return bars without the first one, so that their sum is that of the time shown.

    Grafana asks from the last whole step before the time shown, and a bar is of what happened
    before its moment.
    """
    return f"{bars} and on () (vector(time()) * 1000 > $__from)"


def since_a_bar(total: str, known: str) -> str:
    """Return by how much what never falls rose since a bar ago, or since it was known before."""
    return (
        f"{total} - ({total} offset $__interval"
        f" or last_over_time({total}[{known}] offset $__interval))"
    )


def in_bars(name: str, *matchers: str, by: str = "") -> str:
    """Return how many events each bar of a panel has, by a label if one is named.

    Exact where samples are regular and bars no narrower than three scrapes (`model`): the range
    of the rate is then one scrape longer than the bar, so that each begins with the sample with
    which the one before ends. `round` takes away what Prometheus guesses of a new counter.

    What happened while nobody was scraped is in no range that begins in the gap: it is in the bar
    in which the counter is seen again, as what it rose by since the last hour, or all of it where
    it began anew. A range that goes on has a sample from before the bar. To look for one at its
    beginning would do where a target was away; a Prometheus that was away itself has noted no end
    of its series, and finds their last samples there for five minutes.
    """
    seen = select(name, *matchers)
    first = f"min_over_time({seen}[$__interval])"
    known = f"last_over_time({seen}[1h] offset $__interval)"
    goes_on = f"count_over_time({seen}[{INTERVAL}]) > count_over_time({seen}[$__interval])"
    missed = f"({first} - {known} >= 0 or {first} and {known}) unless {goes_on}"
    # By a label that no other has, both are kept of each series.
    apart = f'label_replace({missed}, "part", "missed", "", "")'
    events = f"rate({seen}[{INTERVAL}]) * $__interval_ms / 1000"
    return in_time(f"round({total(f'{apart} or {events}', by)})")


def all_in_bars(name: str, *matchers: str, of: str) -> str:
    """Return the sum of what `in_bars` returns by a label: of its whole numbers, not a rounded
    sum, which may be another."""
    return total(in_bars(name, *matchers, by=of))


def increase(name: str, *matchers: str) -> str:
    """Return by how much a counter rose in the time shown."""
    return f"increase({select(name, *matchers)}[{RANGE}])"


def total(expression: str, by: str = "") -> str:
    """Return the sum, by labels if any are named."""
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def largest(expression: str, by: str = "") -> str:
    """Return the maximum, by labels if any are named."""
    return f"max by ({by}) ({expression})" if by else f"max({expression})"


def quantile(
    q: float,
    name: str,
    *matchers: str,
    by: str = "",
    over: str = INTERVAL,
    shown: bool = False,
) -> str:
    """Return a quantile of a histogram in its unit, by labels if any are named; as `rate`."""
    labels = f"le, {by}" if by else "le"
    buckets = total(rate(f"{name}_bucket", *matchers, over=over, shown=shown), labels)
    return f"histogram_quantile({q:g}, {buckets})"


def now(quantile: str) -> str:
    """Return a quantile for a snapshot: that of no events is no number, and is left out."""
    return f"{quantile} >= 0"


def while_up(expression: str) -> str:
    """Return what was counted or recorded, while somebody is there who would count more."""
    return f"{expression} and on () (max({select('up')}) == 1)"


def while_led(expression: str) -> str:
    """Return what the agent tells, while one leads and compares the records with Docker."""
    leads = f"max({select('vibebox_agent_leading')}) == 1"
    compares = f"max({select('vibebox_agent_sweep_age_seconds')}) <= 300"
    return f"{expression} and on () ({leads}) and on () ({compares})"
