"""Dashboard "VibeBox - Business": who comes, how far they get, and who comes back.

What the leading agent has counted is told by every instance alike: each query takes the largest.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from monitoring.grafana.generator.panels import (
    BLUE,
    NOTHING,
    Board,
    Panel,
    Query,
    Row,
    graph,
    stat,
)
from monitoring.grafana.generator.promql import RANGE, largest, select

_SIGNUPS = "vibebox_business_signups"
_COUNTED = f"max({select(_SIGNUPS)}) >= 0"
_ROSE = " - ".join(f"{edge}_over_time({select(_SIGNUPS)}[{RANGE}])" for edge in ("max", "min"))
"""Their number never falls: so much it rose, with nothing estimated."""
_WAY = 'label_replace({}, "way", "$1 $2", "way", "(.+)_(.+)")'
_ACCOUNTS = "vibebox_business_accounts"
_SHELL = 'milestone="shell"'
_BARS, _TWO_BARS = 8, 4
"""Lines of the grid: seven bars, and two."""
_FUNNEL = "vibebox_business_funnel"
_ACTIVE = "vibebox_business_active_accounts"
_WITHIN = "vibebox_business_shell_accounts"
_WEEKS = "vibebox_business_second_week_accounts"


def _count(name: str, *matchers: str, by: str = "") -> str:
    return largest(select(name, *matchers), by)


def _active(title: str, days: int, meaning: str) -> Panel:
    return stat(
        title,
        8,
        _count(_ACTIVE, f'days="{days}"'),
        "accounts",
        f"Accounts with an act in the audit log {meaning}, the last that is finished (UTC).",
        "short",
        thresholds=BLUE,
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
    title: str, queries: tuple[Query, ...], description: str, unit: str, **more: Any
) -> Panel:
    options = {"thresholds": BLUE, "snapshot": True, "empty": NOTHING, "height": _BARS, **more}
    return Panel(title, "bargauge", 12, description, queries, unit, **options)


def _share(family: str, label: str, part: str, whole: str) -> str:
    """Return how many of those with one value of a label have another one; 0 of nobody."""
    some, all_of_them = (_count(family, f'{label}="{value}"') for value in (part, whole))
    return f"{some} / clamp_min({all_of_them}, 1)"


_FUNNEL_STEPS = {
    "signed_up": "signed up",
    "environment": "made an environment",
    "started": "started one",
    "shell": "had a shell",
    "second_week": "came back in week 2",
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


_NOW = Row(
    "Today",
    (
        stat(
            "Accounts ever made",
            8,
            f"sum({_count(_SIGNUPS, by='way')})",
            "accounts",
            "All sign-ups, also of accounts that are deleted by now.",
            "short",
            thresholds=BLUE,
        ),
        stat(
            "Sign-ups in the time shown",
            8,
            f"sum(max by (way) ({_ROSE})) and on () ({_COUNTED})",
            "accounts",
            "Accounts that were made in the time shown; GET /api/v1/business has each day.",
            "short",
            thresholds=BLUE,
            decimals=0,
        ),
        stat(
            "Time to a first shell",
            8,
            f"{_count('vibebox_business_shell_seconds')} / "
            f"clamp_min({_count(_ACCOUNTS, _SHELL)}, 1)",
            "mean",
            "Mean time from sign-up to the first terminal or VS Code, of all who had one; 0 until "
            "somebody had.",
            "s",
            thresholds=BLUE,
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
            "Milestones",
            _ACCOUNTS,
            "milestone",
            {
                "environment": "an environment",
                "started": "a start",
                "terminal": "a terminal",
                "vscode": "VS Code",
                "shell": "either of both",
                "second_week": "an act in week 2",
            },
            "Accounts that have come to each, whatever came before: who works in an environment of "
            "a colleague needs none of their own.",
        ),
        _ladder(
            "First usable shell within",
            _WITHIN,
            "within_seconds",
            {
                "60": "1 minute",
                "300": "5 minutes",
                "900": "15 minutes",
                "3600": "1 hour",
                "14400": "4 hours",
                "86400": "1 day",
                "604800": "1 week",
            },
            "Accounts that had a terminal or VS Code so soon after their sign-up.",
        ),
        _ladder(
            "Second week",
            _WEEKS,
            "state",
            {"over": "two weeks old", "returned": "of them, active again"},
            "Accounts whose second week was over at the end of the last finished day, and those of "
            "them that did something in it: 7 to 14 days after sign-up.",
            height=_TWO_BARS,
        ),
        stat(
            "Active again in the second week",
            12,
            _share(_WEEKS, "state", "returned", "over"),
            "of those two weeks old",
            "Share of the accounts that are two weeks old that did something in their second week, "
            "7 to 14 days after sign-up.",
            "percentunit",
            thresholds=BLUE,
            decimals=0,
        ),
    ),
)
_COURSE = Row(
    "Over time",
    (
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
