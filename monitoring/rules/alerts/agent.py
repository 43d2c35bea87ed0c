"""Alerts on the agent, without which records are not kept true and nothing is pulled."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import increases, select
from monitoring.rules.rule import Alert, Group

# Read from the database by every server alike, so that neither vanishes with the agent.
_LEADS = f"max by (job) ({select('vibebox_agent_leading')})"
_SWEEP_AGE = f"max by (job) ({select('vibebox_agent_sweep_age_seconds')})"
_FAILURES = increases("job, task", "vibebox_agent_failures_total", window="15m")
# The loops of a leader are compared with each other: clocks of two hosts may differ by hours. What
# a former leader has told of itself is older.
_ROUND = select("vibebox_agent_task_last_success_timestamp_seconds")
_STUCK = (
    f"max by (job, task) ({_ROUND}) + {t.TASK_SECONDS}\n"
    f"< on (job) group_left ()\nmax by (job) ({_ROUND})"
)

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
            Alert(
                "AgentTaskFailing",
                "warning",
                "agent",
                "0m",
                f"{_FAILURES} > {t.TASK_FAILURES}",
                "The agent fails at {{ $labels.task }} again and again",
                'It failed {{ $value | printf "%.0f" }} times in the past 15 minutes '
                f"(limit: {t.TASK_FAILURES}). A container that breaks by itself makes a few.",
                "telemetry",
                "agent-work",
            ),
            Alert(
                "AgentTaskStuck",
                "warning",
                "agent",
                "2m",
                _STUCK,
                "The agent no longer gets round to {{ $labels.task }}",
                "Its other loops come round, and this one has not for more than "
                f"{t.TASK_SECONDS // 60} minutes.",
                "telemetry",
                "agent-work",
            ),
        ),
    ),
)
