"""Dashboard "VibeBox - Telemetry": what the service's own numbers cost, and whether they hold."""

from monitoring.grafana.generator.checks import AGENT, LOOPS, TRUTH
from monitoring.grafana.generator.golden import errors, objectives, threads_busy
from monitoring.grafana.generator.levels import Thresholds, watched
from monitoring.grafana.generator.panels import (
    Board,
    Panel,
    Row,
    events,
    graph,
    stat,
    steps,
    timeline,
)
from monitoring.grafana.generator.processes import RUNTIME
from monitoring.grafana.generator.promql import (
    all_in_bars,
    in_bars,
    increase,
    largest,
    select,
    total,
    while_up,
)
from monitoring.grafana.generator.states import IN_TROUBLE, UP_OR_DOWN
from monitoring.rules import thresholds as t

_SCRAPE = select("scrape_duration_seconds")
_LEFT_OUT, _OVERFLOW, _SHOWN = (
    "vibebox_metrics_collect_errors_total",
    "vibebox_metrics_label_overflow_total",
    "vibebox_metrics_processes",
)


def _processes(title: str, state: str, meaning: str, thresholds: Thresholds) -> Panel:
    found = total(largest(select(_SHOWN, f'state="{state}"'), "instance"))
    return stat(title, 6, while_up(found), state, meaning, "none", thresholds=thresholds)


_GOLDEN = Row(
    "Golden signals of the scrape, and objectives",
    (
        stat(
            "Scrape time now",
            6,
            largest(_SCRAPE),
            "scrape",
            "Latency: the slowest instance. Prometheus gives a scrape up at its time-out; "
            f"ScrapeNearTimeout warns at {t.SCRAPE_SECONDS} s.",
            "s",
            thresholds=watched(notice=1, ScrapeNearTimeout=t.SCRAPE_SECONDS),
        ),
        stat(
            "Samples in a scrape",
            6,
            largest(select("scrape_samples_scraped")),
            "samples",
            "Traffic: of the largest instance. It grows with the routes that are asked, never with "
            "users, paths or replaced workers.",
            "short",
            thresholds=steps("ok", notice=20000),
        ),
        stat(
            "Parts left out",
            6,
            while_up(total(increase(_LEFT_OUT))),
            "left out",
            "Errors: parts of scrapes that could not be read in the time shown. "
            "MetricsCollectErrors warns of those that are left out again and again.",
            "none",
            decimals=0,
            thresholds=steps("ok", notice=1),
        ),
        errors(width=6),
        threads_busy(down=None),
        *objectives(),
    ),
    added=True,
)
_WHOLE = Row(
    "Whether the numbers are whole",
    (
        stat(
            "Scraped",
            6,
            f"min({select('up')}) or vector(0)",
            "scraped",
            "Whether Prometheus reads every chosen instance. ServiceDown pages where it does not; "
            "all below is then as old as the last scrape.",
            "none",
            thresholds=steps("critical", ok=1),
            mappings=UP_OR_DOWN,
        ),
        _processes(
            "Hidden processes",
            "hidden",
            "Processes that count and have no place in the directory of the metrics: nothing of "
            "them is on any dashboard. MetricsHidden pages.",
            watched(MetricsHidden=1),
        ),
        _processes(
            "Silent processes",
            "silent",
            "Processes that have published nothing for 20 seconds: stopped, frozen, or short of "
            "CPU. ProcessSilent warns.",
            watched(ProcessSilent=1),
        ),
        stat(
            "Unexpected labels",
            6,
            while_up(total(increase(_OVERFLOW))),
            "values",
            "Counted under `other` in the time shown: clients' own methods, or a list in the code "
            "that is not complete. By increase() of Prometheus, which estimates what happened at "
            "its edges: the bars below may have one more or less.",
            "none",
            decimals=0,
            thresholds=steps("ok", notice=1),
        ),
        graph(
            "Processes by what scrapes show of them",
            12,
            "hidden: they count, and have no place in the directory (MetricsHidden pages); silent: "
            "they have published nothing for 20 seconds (ProcessSilent warns).",
            "none",
            (total(largest(select(_SHOWN), "instance, state"), "state"), "{{state}}"),
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
_SCRAPES = Row(
    "Scrape",
    (
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
            # In a narrow window the legend is below, and has five.
            height=13,
        ),
        events(
            "Parts left out by collector",
            12,
            "Parts of scrapes that could not be read; the rest of each scrape stands.",
            "short",
            (in_bars(_LEFT_OUT, by="collector"), "{{collector}}"),
            whole=all_in_bars(_LEFT_OUT, of="collector"),
        ),
        events(
            "Unexpected labels by family",
            12,
            "Events that were counted under `other`, for each family that has any.",
            "short",
            (in_bars(_OVERFLOW, by="family"), "{{family}}"),
            whole=all_in_bars(_OVERFLOW, of="family"),
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
        events(
            "Worker exits by reason",
            8,
            "Ended workers. WorkersDying warns of those that were given up, killed or crashed.",
            "short",
            (in_bars("vibebox_worker_exits_total", by="reason"), "{{reason}}"),
            whole=all_in_bars("vibebox_worker_exits_total", of="reason"),
        ),
    ),
)
BOARD = Board(
    "telemetry",
    "VibeBox - Telemetry",
    "What the service's own numbers cost, whether they are complete, and what it runs on.",
    (_GOLDEN, TRUTH, _WHOLE, AGENT, LOOPS, _SCRAPES, _SHARED, *RUNTIME),
)
