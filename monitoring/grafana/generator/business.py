"""Dashboard "VibeBox - Business": who comes, how far they get, and who comes back.

What the leading agent has counted is told by every instance alike: each query takes the largest.
"""

from collections.abc import Mapping

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
_BARS = 8
"""Lines of the grid: seven bars."""
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
    title: str, family: str, label: str, names: Mapping[str, str], description: str
) -> Panel:
    """Return bars of the values of a label, in this order, and by these names."""
    queries = tuple(
        Query(_count(family, f'{label}="{value}"'), name) for value, name in names.items()
    )
    return Panel(
        title,
        "bargauge",
        12,
        description,
        queries,
        "short",
        thresholds=BLUE,
        snapshot=True,
        empty=NOTHING,
        height=_BARS,
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
            {
                "signed_up": "signed up",
                "environment": "made an environment",
                "started": "started one",
                "shell": "had a shell",
                "second_week": "all steps, then week 2",
            },
            "Accounts that have come to a step and to all before it. A shell is a terminal or VS "
            "Code.",
        ),
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
                "second_week": "week 2 (any way)",
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
            {"over": "week 2 is over", "returned": "of those, came back"},
            "Accounts whose second week was over at the end of the last finished day, and those of "
            "them that did something in it: 7 to 14 days after sign-up.",
        ),
    ),
)
_COURSE = Row(
    "Over time",
    (
        graph(
            "Accounts by way of signing up",
            12,
            "All that were ever made. first: who set it up; unknown: from before the audit log.",
            "short",
            (_WAY.format(_count(_SIGNUPS, by="way")), "{{way}}"),
            stacked=True,
        ),
        graph(
            "Active accounts",
            12,
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
