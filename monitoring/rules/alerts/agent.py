"""Alerts on the agent, without which records are not kept true and nothing is pulled."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import select
from monitoring.rules.rule import Alert, Group

# Read from the database by every server alike, so that neither vanishes with the agent.
_LEADS = f"max by (job) ({select('vibebox_agent_leading')})"
_SWEEP_AGE = f"max by (job) ({select('vibebox_agent_sweep_age_seconds')})"

GROUPS = (
    Group(
        "agent",
        (
            Alert(
                "AgentNotLeading",
                "critical",
                "agent",
                "2m",
                f"{_LEADS} == 0",
                "No agent is at work",
                "For 2 minutes no agent has led: images are not pulled, containers that end keep "
                "the status running, and what they write is not stored.",
                "telemetry",
                "agent-work",
            ),
            Alert(
                "EnvironmentsNotCompared",
                "warning",
                "agent",
                "2m",
                f"{_SWEEP_AGE} > {t.SWEEP_SECONDS}",
                "Nobody compares the records of environments with Docker",
                "The last comparison of all of them is {{ $value | humanizeDuration }} ago "
                f"(limit: {t.SWEEP_SECONDS} s): whether records differ is not known.",
                "telemetry",
                "agent-work",
            ),
        ),
    ),
)
