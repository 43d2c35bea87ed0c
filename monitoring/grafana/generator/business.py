"""Dashboard "VibeBox - Business": who comes, how far they get, and who comes back.

What the leading agent has counted is told by every instance alike: each query takes the largest.
"""

from monitoring.grafana.generator.panels import (
    BLUE,
    Board,
    Panel,
    Row,
    bars,
    graph,
    stat,
)
from monitoring.grafana.generator.promql import RANGE, largest, select

_SIGNUPS = "vibebox_business_signups"
_COUNTED = f"max({select(_SIGNUPS)}) >= 0"
_ACCOUNTS = "vibebox_business_accounts"
_FUNNEL = "vibebox_business_funnel"
_ACTIVE = "vibebox_business_active_accounts"
_WITHIN = "vibebox_business_shell_accounts"
_WEEKS = "vibebox_business_second_week_accounts"


def _count(name: str, *matchers: str, by: str = "") -> str:
    return largest(select(name, *matchers), by)


def _active(title: str, days: int, meaning: str) -> Panel:
    return stat(
        title,
        5,
        _count(_ACTIVE, f'days="{days}"'),
        "accounts",
        f"Accounts with an act in the audit log {meaning}, the last that is finished (UTC).",
        "short",
        thresholds=BLUE,
    )


_NOW = Row(
    "Today",
    (
        stat(
            "Accounts ever made",
            4,
            f"sum({_count(_SIGNUPS, by='way')})",
            "accounts",
            "All sign-ups, also of accounts that are deleted by now.",
            "short",
            thresholds=BLUE,
        ),
        stat(
            "Sign-ups in the time shown",
            5,
            f"sum(max by (way) (delta({select(_SIGNUPS)}[{RANGE}]))) and on () ({_COUNTED})",
            "accounts",
            "Accounts that were made in the time shown, as Prometheus estimates from its samples; "
            "GET /api/v1/business tells the exact number of each day.",
            "short",
            thresholds=BLUE,
            decimals=0,
        ),
        _active("Active on the last day", 1, "on the last day"),
        _active("Active within 7 days", 7, "within 7 days that end with the last day"),
        _active("Active within 30 days", 30, "within 30 days that end with the last day"),
    ),
)
_STEPS = Row(
    "From sign-up to a second week",
    (
        bars(
            "Funnel",
            12,
            _count(_FUNNEL, by="step"),
            "{{step}}",
            "Accounts that have come to a step and to all before it: sign-up, first environment, "
            "first start, first terminal or VS Code, an act in the second week.",
            "short",
            thresholds=BLUE,
        ),
        bars(
            "Milestones",
            12,
            _count(_ACCOUNTS, by="milestone"),
            "{{milestone}}",
            "Accounts that have come to each, whatever came before: who works in an environment of "
            "a colleague needs none of their own.",
            "short",
            thresholds=BLUE,
        ),
        bars(
            "First usable shell within",
            12,
            _count(_WITHIN, by="within_seconds"),
            "{{within_seconds}} s",
            "Accounts that had a terminal or VS Code within so many seconds of their sign-up: a "
            "minute, 5, 15, an hour, 4 hours, a day, a week.",
            "short",
            thresholds=BLUE,
        ),
        bars(
            "Second week",
            12,
            _count(_WEEKS, by="state"),
            "{{state}}",
            "Accounts whose second week was over at the end of the last finished day, and those of "
            "them that did something in it: 7 to 14 days after sign-up.",
            "short",
            thresholds=BLUE,
        ),
    ),
)
_COURSE = Row(
    "Over time",
    (
        graph(
            "Accounts by way of signing up",
            12,
            "All that were ever made. unknown: from before the audit log.",
            "short",
            (_count(_SIGNUPS, by="way"), "{{way}}"),
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
)
