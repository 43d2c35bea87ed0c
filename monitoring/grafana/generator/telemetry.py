"""Dashboard "VibeBox - Telemetry": what the service's own numbers cost, and whether they hold."""

from monitoring.grafana.generator.levels import watched
from monitoring.grafana.generator.panels import (
    UNKNOWN,
    Board,
    Row,
    graph,
    stat,
    steps,
    timeline,
)
from monitoring.grafana.generator.processes import RUNTIME
from monitoring.grafana.generator.promql import (
    RANGE,
    increase,
    largest,
    now,
    quantile,
    rate,
    select,
    total,
    while_led,
    while_up,
)
from monitoring.grafana.generator.states import IN_TROUBLE, LEADS, UP_OR_DOWN
from monitoring.rules import thresholds as t

_SCRAPE = select("scrape_duration_seconds")
_LEFT_OUT, _OVERFLOW = (
    "vibebox_metrics_collect_errors_total",
    "vibebox_metrics_label_overflow_total",
)
_PROCESSES = largest(select("vibebox_metrics_processes"), "instance, state")
_HOUR = "3600"

_NOW = Row(
    "Scrape",
    (
        stat(
            "Scrape time now",
            6,
            largest(_SCRAPE),
            "scrape",
            "The slowest instance. Prometheus gives a scrape up at its time-out; ScrapeNearTimeout "
            f"warns at {t.SCRAPE_SECONDS} s.",
            "s",
            thresholds=watched(notice=1, ScrapeNearTimeout=t.SCRAPE_SECONDS),
        ),
        stat(
            "Samples in a scrape",
            6,
            largest(select("scrape_samples_scraped")),
            "samples",
            "Of the largest instance. It grows with the routes that are asked, never with users, "
            "paths or replaced workers.",
            "none",
            thresholds=steps("ok", notice=20000),
        ),
        stat(
            "Parts left out",
            6,
            while_up(total(increase(_LEFT_OUT))),
            "left out",
            "Parts of scrapes that could not be read in the time shown. MetricsCollectErrors warns "
            "of those that are left out again and again.",
            "none",
            decimals=0,
            thresholds=watched(MetricsCollectErrors=1),
        ),
        stat(
            "Label values outside their set",
            6,
            while_up(total(increase(_OVERFLOW))),
            "values",
            "Counted under `other` in the time shown: clients' own methods, or a list in the code "
            "that is not complete.",
            "none",
            decimals=0,
            thresholds=steps("ok", notice=1),
        ),
        graph(
            "Scrape time",
            12,
            "How long Prometheus waited for each instance.",
            "s",
            (largest(_SCRAPE, "instance"), "{{instance}}"),
            bounds=(0, None),
            thresholds=watched(notice=1, ScrapeNearTimeout=t.SCRAPE_SECONDS),
        ),
        graph(
            "Time of each part of a scrape",
            12,
            "The counts of the database, and the files of the shared directory.",
            "s",
            (
                largest(select("vibebox_metrics_collect_duration_seconds"), "collector"),
                "{{collector}}",
            ),
            bounds=(0, None),
        ),
        graph(
            "Parts left out by collector",
            12,
            "Parts of scrapes a second that could not be read; the rest of each scrape stands.",
            "ops",
            (total(rate(_LEFT_OUT), "collector"), "{{collector}}"),
            bounds=(0, None),
            sparse=True,
        ),
        graph(
            "Label values outside their set by family",
            12,
            "Events a second that were counted under `other`, for each family that has any.",
            "ops",
            (f"{total(rate(_OVERFLOW), 'family')} > 0", "{{family}}"),
            bounds=(0, None),
            sparse=True,
        ),
    ),
)
_SHARED = Row(
    "Directory and workers",
    (
        graph(
            "Files of the shared directory",
            8,
            "What a scrape reads. Files of the dead are merged into one archive: their number "
            "stays small however many workers were replaced.",
            "none",
            (total(select("vibebox_metrics_files"), "state"), "{{state}}"),
            stacked=True,
        ),
        graph(
            "Live web workers",
            8,
            "Processes that answer requests.",
            "none",
            (total(select("vibebox_workers"), "instance"), "{{instance}}"),
            bounds=(0, None),
        ),
        graph(
            "Worker exits by reason",
            8,
            "Ended workers an hour. WorkersDying warns of those that were given up, killed or "
            "crashed.",
            "short",
            (f"{total(rate('vibebox_worker_exits_total'), 'reason')} * {_HOUR}", "{{reason}}"),
            bounds=(0, None),
            sparse=True,
        ),
    ),
)
_NOT_SHOWN = Row(
    "What scrapes cannot show",
    (
        graph(
            "Processes by what scrapes show of them",
            12,
            "hidden: they count, and have no place in the directory (MetricsHidden pages); silent: "
            "they have published nothing for 20 seconds (ProcessSilent warns).",
            "none",
            (f"sum by (state) ({_PROCESSES})", "{{state}}"),
            stacked=True,
            bounds=(0, None),
        ),
        timeline(
            "Trouble with the directory of the metrics",
            12,
            "Whether it cannot take anything new, by the reason; MetricsDirectoryFailing warns.",
            (largest(select("vibebox_metrics_directory_trouble"), "reason"), "{{reason}}"),
            mappings=IN_TROUBLE,
            thresholds=steps("ok", warning=1),
            height=10,
        ),
    ),
    added=True,
)
_TRUTH = Row(
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
            height=10,
        ),
        graph(
            "Time of health checks",
            12,
            "p95 of each check; a check is given up after 0.8 s.",
            "s",
            (quantile(0.95, "vibebox_health_check_duration_seconds", by="check"), "{{check}}"),
            thresholds=steps("ok", warning=0.8),
        ),
        stat(
            "Records that differ from Docker",
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
            "Start time of environments",
            8,
            while_up(now(quantile(0.95, "vibebox_environment_start_duration_seconds", over=RANGE))),
            "p95",
            "p95 over the time shown, from the accepted request to a container that answers; "
            "pulls included.",
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
            "of each.",
            "none",
            decimals=0,
            thresholds=watched(EnvironmentsKilledByMemory=1),
            empty=UNKNOWN,
            down="environments",
        ),
    ),
)
_AGENT = Row(
    "Agent",
    (
        timeline(
            "An agent leads",
            8,
            "Whether one does, as the database says; AgentNotLeading pages where none does.",
            (largest(select("vibebox_agent_leading")), "agent"),
            mappings=LEADS,
            thresholds=steps("critical", ok=1),
            height=10,
        ),
        graph(
            "Time since the records were compared",
            8,
            "With Docker, all of them. EnvironmentsNotCompared warns at "
            f"{t.SWEEP_SECONDS // 60} minutes.",
            "s",
            (f"{largest(select('vibebox_agent_sweep_age_seconds'))} < Inf", "age"),
            bounds=(0, None),
            thresholds=watched(EnvironmentsNotCompared=t.SWEEP_SECONDS),
        ),
        graph(
            "Failures of the agent by loop",
            8,
            "An hour; one that fails stops no other. AgentTaskFailing warns at "
            f"{t.TASK_FAILURES} in 15 minutes.",
            "short",
            (f"{total(rate('vibebox_agent_failures_total'), 'task')} * {_HOUR}", "{{task}}"),
            bounds=(0, None),
            thresholds=watched(AgentTaskFailing=4 * t.TASK_FAILURES),
        ),
    ),
)

BOARD = Board(
    "telemetry",
    "VibeBox - Telemetry",
    "What the service's own numbers cost, whether they are complete, and what it runs on.",
    (_NOW, _SHARED, _NOT_SHOWN, *RUNTIME, _TRUTH, _AGENT),
)
