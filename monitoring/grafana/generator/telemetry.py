"""Dashboard "VibeBox - Telemetry": what the service's own numbers cost, and whether they hold."""

from monitoring.grafana.generator.panels import (
    UNKNOWN,
    Board,
    Row,
    graph,
    stat,
    steps,
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
from monitoring.rules import thresholds as t

_SCRAPE = select("scrape_duration_seconds")
_LEFT_OUT, _OVERFLOW = (
    "vibebox_metrics_collect_errors_total",
    "vibebox_metrics_label_overflow_total",
)
_NONE = steps("green", red=1)
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
            thresholds=steps("green", yellow=1, red=t.SCRAPE_SECONDS),
        ),
        stat(
            "Samples in a scrape",
            6,
            largest(select("scrape_samples_scraped")),
            "samples",
            "Of the largest instance. It grows with the routes that are asked, never with users, "
            "paths or replaced workers.",
            "none",
            thresholds=steps("green", yellow=20000),
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
            thresholds=_NONE,
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
            thresholds=steps("green", yellow=1),
        ),
        graph(
            "Scrape time",
            12,
            "How long Prometheus waited for each instance.",
            "s",
            (largest(_SCRAPE, "instance"), "{{instance}}"),
            bounds=(0, None),
            thresholds=steps("green", yellow=1, red=t.SCRAPE_SECONDS),
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
        ),
        graph(
            "Label values outside their set by family",
            12,
            "Events a second that were counted under `other`, for each family that has any.",
            "ops",
            (f"{total(rate(_OVERFLOW), 'family')} > 0", "{{family}}"),
            bounds=(0, None),
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
        graph(
            "Trouble with the directory of the metrics",
            12,
            "1 where it cannot take anything new, by the reason; MetricsDirectoryFailing warns.",
            "none",
            (largest(select("vibebox_metrics_directory_trouble"), "reason"), "{{reason}}"),
            bounds=(0, 1),
        ),
    ),
    added=True,
)
_TRUTH = Row(
    "Checks and truth",
    (
        graph(
            "Health checks",
            12,
            "1 where the dependency was well at the last check of every instance, else 0. NotReady "
            "alerts on those that are required.",
            "none",
            (f"min by (check) ({select('vibebox_health_check_up')})", "{{check}}"),
            bounds=(0, 1),
        ),
        graph(
            "Time of health checks",
            12,
            "p95 of each check; a check is given up after 0.8 s.",
            "s",
            (quantile(0.95, "vibebox_health_check_duration_seconds", by="check"), "{{check}}"),
            thresholds=steps("green", red=0.8),
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
            thresholds=_NONE,
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
            thresholds=steps("green", yellow=10, red=t.START_SECONDS),
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
            thresholds=_NONE,
            empty=UNKNOWN,
            down="environments",
        ),
    ),
)
_AGENT = Row(
    "Agent",
    (
        graph(
            "An agent leads",
            8,
            "1 while one does, as the database says; AgentNotLeading pages where none does.",
            "none",
            (largest(select("vibebox_agent_leading")), "leads"),
            bounds=(0, 1),
        ),
        graph(
            "Time since the records were compared",
            8,
            "With Docker, all of them. EnvironmentsNotCompared warns at "
            f"{t.SWEEP_SECONDS // 60} minutes.",
            "s",
            (f"{largest(select('vibebox_agent_sweep_age_seconds'))} < Inf", "age"),
            bounds=(0, None),
            thresholds=steps("green", red=t.SWEEP_SECONDS),
        ),
        graph(
            "Failures of the agent by loop",
            8,
            "An hour; one that fails stops no other. AgentTaskFailing warns at "
            f"{t.TASK_FAILURES} in 15 minutes.",
            "short",
            (f"{total(rate('vibebox_agent_failures_total'), 'task')} * {_HOUR}", "{{task}}"),
            bounds=(0, None),
            thresholds=steps("green", red=4 * t.TASK_FAILURES),
        ),
    ),
)

BOARD = Board(
    "telemetry",
    "VibeBox - Telemetry",
    "What the service's own numbers cost, whether they are complete, and what it runs on.",
    (_NOW, _SHARED, _NOT_SHOWN, *RUNTIME, _TRUTH, _AGENT),
)
