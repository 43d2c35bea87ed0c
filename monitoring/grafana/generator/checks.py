"""Rows of the dashboard "VibeBox - Telemetry" about health checks, the records and the agent."""

from monitoring.grafana.generator.levels import watched
from monitoring.grafana.generator.panels import (
    UNKNOWN,
    Row,
    bars,
    events,
    graph,
    stat,
    steps,
    timeline,
)
from monitoring.grafana.generator.promql import (
    all_in_bars,
    in_bars,
    increase,
    largest,
    now,
    quantile,
    select,
    total,
    while_led,
    while_up,
)
from monitoring.grafana.generator.states import LEADS, UP_OR_DOWN
from monitoring.rules import thresholds as t

_STARTED = "vibebox_environment_start_duration_seconds"
_FAILURES = "vibebox_agent_failures_total"

TRUTH = Row(
    "Checks and truth",
    (
        timeline(
            "Health checks",
            12,
            "Whether the dependency was well at the last check of every instance. NotReady pages "
            "for those that are required.",
            (f"min by (check) ({select('vibebox_health_check_up')})", "{{check}}"),
            mappings=UP_OR_DOWN,
            thresholds=steps("critical", ok=1),
            # In a narrow window the legend beside it is below, and has five.
            height=13,
        ),
        graph(
            "Time of health checks",
            12,
            "p95 of each check. It is orange from 0.5 s on, the last bound of its histogram below "
            "the 0.8 s after which a check is given up.",
            "s",
            (quantile(0.95, "vibebox_health_check_duration_seconds", by="check"), "{{check}}"),
            ("vector(0.8)", "given up"),
            thresholds=steps("ok", warning=0.5),
        ),
        stat(
            "Records unlike Docker",
            8,
            while_led(largest(select("vibebox_environment_drift"))),
            "differ",
            "Environments whose recorded status is not that of their container. The agent mends "
            "it within seconds; EnvironmentStatusDrift warns when it does not. Unknown while no "
            "agent compares them.",
            "none",
            thresholds=watched(EnvironmentStatusDrift=1),
            empty=UNKNOWN,
        ),
        stat(
            "Start time (p95, 10 min)",
            8,
            while_up(now(quantile(0.95, _STARTED, 'outcome="success"', over="10m"))),
            "p95",
            "What 95 of 100 starts of environments in the last 10 minutes took at most, from the "
            "accepted request to a container that answers; pulls included.",
            "s",
            thresholds=watched(notice=10, SlowEnvironmentStarts=t.START_SECONDS),
            down="environments",
        ),
        stat(
            "Containers short of memory",
            8,
            while_led(total(increase("vibebox_environment_exits_total", 'reason="oom"'))),
            "out of memory",
            "Containers that the kernel ended in the time shown. EnvironmentsKilledByMemory warns "
            "of each. Kills in a container that lives on are on the dashboard of teams (Kills for "
            "want of memory).",
            "none",
            decimals=0,
            thresholds=watched(EnvironmentsKilledByMemory=1),
            empty=UNKNOWN,
            down="team",
        ),
    ),
)
_AGENT_STARTED = select("vibebox_process_start_time_seconds", 'worker="agent"')
AGENT = Row(
    "Agent",
    (
        timeline(
            "An agent leads",
            16,
            "Whether one does, as the database says; AgentNotLeading pages where none does.",
            (largest(select("vibebox_agent_leading")), "agent"),
            mappings=LEADS,
            thresholds=steps("critical", ok=1),
            height=3,
        ),
        stat(
            "Agent's uptime",
            8,
            f"min(time() - {_AGENT_STARTED})",
            "uptime",
            "Time since the youngest agent started. AgentRestarting warns of one that does again "
            "and again.",
            "dtdurations",
            thresholds=steps("notice", ok=300),
        ),
        graph(
            "Age of the comparison",
            8,
            "Time since the records of all environments were compared with Docker. "
            "EnvironmentsNotCompared warns at "
            f"{t.SWEEP_SECONDS // 60} minutes.",
            "s",
            (f"{largest(select('vibebox_agent_sweep_age_seconds'))} < Inf", "age"),
            bounds=(0, None),
            thresholds=watched(EnvironmentsNotCompared=t.SWEEP_SECONDS),
        ),
        events(
            "Failures of the agent by loop",
            16,
            "One that fails stops no other; of each bar the five with the most. AgentTaskFailing "
            f"warns at {t.TASK_FAILURES} in 15 minutes.",
            "short",
            (f"topk(5, {in_bars(_FAILURES, by='task')})", "{{task}}"),
            whole=all_in_bars(_FAILURES, of="task"),
        ),
    ),
)
_ROUND = select("vibebox_agent_task_last_success_timestamp_seconds")
_BEHIND = f"max({_ROUND}) - on () group_right () {largest(_ROUND, 'task')}"
LOOPS = Row(
    "Loops of the agent",
    (
        bars(
            "Since each loop came round",
            24,
            f"sort_desc(topk(5, {_BEHIND}))",
            "{{task}}",
            "How long ago a loop came round when the last one of all did, of the five for which it "
            "is longest: some come round every few minutes by design. AgentTaskStuck warns at "
            f"{t.TASK_SECONDS // 60} minutes.",
            "s",
            thresholds=steps("ok", warning=t.TASK_SECONDS),
            bounds=(0, t.TASK_SECONDS),
            height=6,
        ),
    ),
    added=True,
)
