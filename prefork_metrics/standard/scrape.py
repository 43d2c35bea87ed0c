"""Families that a scrape tells of itself."""

from typing import TYPE_CHECKING

from prefork_metrics.directory import State, Trouble

if TYPE_CHECKING:
    from prefork_metrics.registry import Registry

COLLECTORS = ("files", "format", "runtime", "values")


class ScrapeFamilies:
    """Declared under the prefix of a registry."""

    def __init__(self, registry: "Registry") -> None:
        self.collect_errors = registry.counter(
            "metrics_collect_errors_total",
            "Parts of a scrape that could not be read.",
            {"collector": (*COLLECTORS, *registry.collectors)},
            "each part of a scrape, or file of the shared directory, that is left out; values: "
            "each time that a process begins to miss its place in the directory (full, read-only, "
            "deleted); format: each scrape without exemplars, since the client library writes "
            "files in an unknown format",
        )
        self.label_overflow = registry.counter(
            "metrics_label_overflow_total",
            "Label values outside their closed set, counted under `other`.",
            {"family": None},
            "each event with such a value",
        )
        self.collect_duration = registry.computed(
            "metrics_collect_duration_seconds",
            "Time that each part of this scrape took.",
            {"collector": (*COLLECTORS, *registry.collectors)},
            "the scrape that shows it",
        )
        self.files = registry.computed(
            "metrics_files",
            "Files of the shared metrics directory that a scrape reads.",
            {"state": ("live", "dead")},
            "the scrape that shows it; live are those of living processes, dead the others and the"
            " archive",
        )
        self.processes = registry.computed(
            "metrics_processes",
            "Living processes of the service, by how much of them a scrape can show.",
            {"state": tuple(State)},
            "the scrape that shows it. hidden: has counts that no scrape can show, since the "
            "metrics directory failed; silent: has published nothing for 20 s, and its gauges are "
            "left out",
        )
        self.directory_trouble = registry.computed(
            "metrics_directory_trouble",
            "Whether the shared metrics directory cannot be used, by what is wrong with it.",
            {"reason": tuple(Trouble)},
            "the scrape that shows it, by taking up room in the directory; busy: another process "
            "held it for too long",
        )
