"""Dashboard "VibeBox - Business": who comes, how far they get, and who comes back.

What the leading agent has counted is told by every instance alike: each query takes the largest.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from monitoring.grafana.generator.levels import Step
from monitoring.grafana.generator.palette import MEANINGS, NEUTRAL
from monitoring.grafana.generator.panels import (
    BLUE,
    NOTHING,
    Board,
    Panel,
    Query,
    Row,
    events,
    graph,
    stat,
)
from monitoring.grafana.generator.promql import RANGE, in_time, largest, now, select, since_a_bar

_SIGNUPS = "vibebox_business_signups"
_COUNTED = f"max({select(_SIGNUPS)}) >= 0"
_A_DAY = in_time(largest(since_a_bar(select(_SIGNUPS), "1d"), "way"))
_WAY = 'label_replace({}, "way", "$1 $2", "way", "(.+)_(.+)")'
_ACCOUNTS = "vibebox_business_accounts"
_SHELL = 'milestone="shell"'
_BARS, _TWO_BARS = 8, 4
"""Lines of the grid: seven bars, and two."""
_FUNNEL = "vibebox_business_funnel"
_ACTIVE = "vibebox_business_active_accounts"
_WITHIN = "vibebox_business_shell_accounts"
_WEEKS = "vibebox_business_second_week_accounts"


def _looks(before: str = "") -> str:
    """Return how many samples Prometheus has of the time shown."""
    return f"max(count_over_time({select(_SIGNUPS)}[{RANGE}]{before}))"


def _rose(before: str = "") -> str:
    """Return the sign-ups of the time shown. Their number never falls: nothing is estimated."""
    least = f"min_over_time({select(_SIGNUPS)}[{RANGE}]{before})"
    if before:
        rose = f"max_over_time({select(_SIGNUPS)}[{RANGE}]{before}) - {least}"
    else:
        # What rose from the last scrape before the time shown is in the bars, and here.
        rose = f"{select(_SIGNUPS)} - ({select(_SIGNUPS)} offset {RANGE} or {least})"
    return f"sum(max by (way) ({rose}))"


def _count(name: str, *matchers: str, by: str = "") -> str:
    return largest(select(name, *matchers), by)


def _compared(
    title: str,
    width: int,
    current: str,
    before: str,
    description: str,
    color: str,
    condition: str = "",
) -> Panel:
    """Return a number of accounts beside that of the period before, where Prometheus has it."""
    # With nobody to tell the number of now, the one before would look like it.
    then = f"({before}) and on () ({current} >= 0){condition}"
    return Panel(
        title,
        "stat",
        width,
        f"{description} Beside it the same of the period before, where Prometheus has all of it.",
        (Query(current, "accounts"), Query(then, "before")),
        "short",
        snapshot=True,
        named=True,
        decimals=0,
        thresholds=(Step(color, None),),
        empty=NOTHING,
    )


def _active(title: str, days: int, meaning: str) -> Panel:
    at = select(_ACTIVE, f'days="{days}"')
    return _compared(
        title,
        8,
        largest(at),
        largest(f"{at} offset {days}d"),
        f"Accounts with an act in the audit log {meaning}, the last that is finished (UTC).",
        MEANINGS["days"][str(days)].color,
    )


def _ladder(
    title: str, family: str, label: str, names: Mapping[str, str], description: str, **more: Any
) -> Panel:
    """Return bars of the values of a label, in this order, and by these names."""
    queries = tuple(
        Query(_count(family, f'{label}="{value}"'), name) for value, name in names.items()
    )
    return _steps(title, queries, description, "short", **more)


def _steps(
    title: str,
    queries: tuple[Query, ...],
    description: str,
    unit: str,
    width: int = 12,
    **more: Any,
) -> Panel:
    options = {"thresholds": BLUE, "snapshot": True, "empty": NOTHING, "height": _BARS, **more}
    return Panel(title, "bargauge", width, description, queries, unit, **options)


def _share(family: str, label: str, part: str, whole: str) -> str:
    """Return how many of those with one value of a label have another one; 0 of nobody."""
    some, all_of_them = (_count(family, f'{label}="{value}"') for value in (part, whole))
    return f"{some} / clamp_min({all_of_them}, 1)"


_FUNNEL_STEPS = {
    "signed_up": "signed up",
    "environment": "made an environment",
    "started": "started one",
    "shell": "had a shell",
    "second_week": "came back, after a shell",
}


def _of_the_step_before() -> Panel:
    """Return the funnel's steps as shares of what came to the one before."""
    queries = tuple(
        Query(_share(_FUNNEL, "step", step, before), _FUNNEL_STEPS[step])
        for before, step in pairwise(_FUNNEL_STEPS)
    )
    return _steps(
        "Of those at the step before",
        queries,
        "Which share of the accounts that came to a step of the funnel came to the next one: the "
        "least is where most are lost. Who signed up a few days ago has no second week yet.",
        "percentunit",
        bounds=(0, 1),
        decimals=0,
    )


_SHELLS = _count(_ACCOUNTS, _SHELL)
_SECONDS = 'within_seconds="{}"'
_BOUNDS = {
    "60": "1 minute",
    "300": "5 minutes",
    "900": "15 minutes",
    "3600": "1 hour",
    "14400": "4 hours",
    "86400": "1 day",
    "604800": "1 week",
}
_LE = 'label_replace({}, "le", "{}", "{}", "{}")'
# They are the buckets of a histogram, of whose end all that had a shell are in.
_MEDIAN = (
    now(
        "histogram_quantile(0.5, sum by (le) ("
        + _LE.format(_count(_WITHIN, by="within_seconds"), "$1", "within_seconds", "(.+)")
        + ") or "
        + _LE.format(_SHELLS, "+Inf", "", "")
        + ")"
    )
    + f" or {_SHELLS} == 0"
)
_NOW = Row(
    "Sign-ups and use",
    (
        _compared(
            "Sign-ups (shown)",
            6,
            f"{_rose()} and on () ({_COUNTED})",
            _rose(" offset $__range"),
            "Accounts that were made in the time shown; GET /api/v1/business has each day.",
            NEUTRAL,
            # Of a period that Prometheus has forgotten in part, or saw in part, they would be few.
            f" and on () ({_looks(f' offset {RANGE}')} >= 0.9 * {_looks()})",
        ),
        stat(
            "Activated",
            6,
            _share(_FUNNEL, "step", "started", "signed_up"),
            "of all sign-ups",
            "Activation: share of all accounts ever made that made an environment and started it.",
            "percentunit",
            thresholds=BLUE,
            decimals=0,
            named=True,
        ),
        stat(
            "First shell after",
            6,
            _MEDIAN,
            "median of all",
            "From sign-up to the first terminal or VS Code: half of all who had one had it sooner, "
            "about; it lies between two of the bounds that First usable shell within has. One who "
            "had to wait for weeks does not move it, as a mean; 0 until somebody had.",
            "s",
            thresholds=BLUE,
            named=True,
        ),
        stat(
            "Back in week 2",
            6,
            _share(_WEEKS, "state", "returned", "over"),
            "of those two weeks old",
            "Share of the accounts that are two weeks old that did something in their second week, "
            "7 to 14 days after sign-up.",
            "percentunit",
            thresholds=BLUE,
            decimals=0,
            named=True,
        ),
        _active("Active on the last day", 1, "on the last day"),
        _active("Active within 7 days", 7, "within 7 days that end with the last day"),
        _active("Active within 30 days", 30, "within 30 days that end with the last day"),
    ),
)
_STEPS = Row(
    "From sign-up to a second week",
    (
        _ladder(
            "Funnel",
            _FUNNEL,
            "step",
            _FUNNEL_STEPS,
            "Accounts that have come to a step and to all before it. A shell is a terminal or VS "
            "Code.",
        ),
        _of_the_step_before(),
        _ladder(
            "Milestones, in any order",
            _ACCOUNTS,
            "milestone",
            {
                "environment": "an environment",
                "started": "a start",
                "terminal": "a terminal",
                "vscode": "VS Code",
                "shell": "either one",
                "second_week": "any act in week 2",
            },
            "Accounts that have come to each, whatever came before: who works in an environment of "
            "a colleague needs none of their own.",
        ),
        _steps(
            "First usable shell within",
            tuple(
                Query(f"{_count(_WITHIN, _SECONDS.format(bound))} / clamp_min({_SHELLS}, 1)", name)
                for bound, name in _BOUNDS.items()
            ),
            "Share of those who had a terminal or VS Code that had it so soon after their sign-up.",
            "percentunit",
            bounds=(0, 1),
            decimals=0,
        ),
        _ladder(
            "Second week",
            _WEEKS,
            "state",
            {"over": "two weeks old", "returned": "of those, back in week 2"},
            "Accounts whose second week was over at the end of the last finished day, and those of "
            "them that did something in it: 7 to 14 days after sign-up.",
            width=24,
            height=_TWO_BARS,
        ),
    ),
)
_COURSE = Row(
    "Over time",
    (
        events(
            "Sign-ups a day",
            24,
            "Accounts that were made, by way of signing up.",
            "short",
            (_WAY.format(_A_DAY), "{{way}}"),
            whole=f"sum({_A_DAY})",
            bar="1d",
            height=8,
        ),
        graph(
            "Accounts by way of signing up",
            16,
            "All that were ever made. first: who set it up; unknown: from before the audit log.",
            "short",
            (_WAY.format(_count(_SIGNUPS, by="way")), "{{way}}"),
            stacked=True,
        ),
        graph(
            "Active accounts",
            8,
            "Within 1, 7 and 30 days that end with the last finished one; they move once a day.",
            "short",
            (_count(_ACTIVE, by="days"), "{{days}} d"),
            bounds=(0, None),
        ),
    ),
)

BOARD = Board(
    "business",
    "VibeBox - Business",
    "Who signs up, how far they get, and who comes back; of all accounts together.",
    (_NOW, _STEPS, _COURSE),
    # Counted once an hour at most, and looked at by the week.
    time="now-30d",
    refresh="5m",
    marks=False,
)
