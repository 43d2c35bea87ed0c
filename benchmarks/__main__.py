"""`python -m benchmarks`: runs every benchmark and prints one table."""

import os
import platform
from collections.abc import Callable
from importlib import import_module, metadata

import click

from benchmarks.table import Bar, print_bars

SECTIONS = (
    "request_cost",
    "request_instructions",
    "service_cost",
    "throughput",
    "scrape_time",
    "processes_seen",
    "environments",
    "usage",
)
_PACKAGES = (
    "flask",
    "gunicorn",
    "prometheus-client",
    "prometheus-flask-exporter",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-flask",
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("sections", nargs=-1, type=click.Choice(SECTIONS), metavar="[SECTION]...")
def main(sections: tuple[str, ...]) -> None:
    """Measure VibeBox's telemetry beside its peers and print one table.

    SECTION: one of request_cost, request_instructions, service_cost, throughput, scrape_time,
    processes_seen, environments and usage, or several; all of them if none is named.
    docs/benchmarks.md tells how to read the table.
    """
    # The scrapes name a directory each; what this process itself counts belongs into none of them.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    click.echo(f"{platform.python_implementation()} {platform.python_version()}, ", nl=False)
    click.echo(f"{os.cpu_count()} cores, {', '.join(map(_version, _PACKAGES))}")
    bars: list[Bar] = []
    for name in sections or SECTIONS:
        # Imported only now: the metrics client reads the environment when it is imported.
        run: Callable[[], list[Bar]] = import_module(f"benchmarks.{name}").run
        bars += run()
    print_bars(bars)


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"no {package}"


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
