"""Alerts on the agent, without which records are not kept true and nothing is pulled."""

from monitoring.rules.expressions import select
from monitoring.rules.rule import Alert, Group

_LEADS = select("vibebox_health_check_up", 'check="agent"')

GROUPS = (
    Group(
        "agent",
        (
            Alert(
                "AgentNotLeading",
                "critical",
                "agent",
                "2m",
                # All look at the same database: one that sees a leader is right.
                f"max by (job) ({_LEADS}) == 0",
                "No agent is at work",
                "For 2 minutes no agent has led: images are not pulled, containers that end keep "
                "the status running, and what they write is not stored.",
                "telemetry",
            ),
        ),
    ),
)
