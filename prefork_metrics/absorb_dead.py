"""Absorbing the dead, by whoever notices: the master when it reaps a worker, a scrape otherwise."""

import logging
from pathlib import Path

from prefork_metrics.directory import absorb
from prefork_metrics.directory.locks import WAIT
from prefork_metrics.errors import MetricsDirectoryBusyError
from prefork_metrics.registry import Registry

COLLECTOR = "files"
_log = logging.getLogger(__name__)


def absorb_dead(registry: Registry, directory: Path, wait: float = WAIT) -> None:
    """Absorb the dead that nobody has absorbed yet; count and log files that are unreadable.

    wait: seconds to wait for others at work in the directory. Raises nothing: what cannot be done
    now is done by whoever notices next.
    """
    try:
        bad = absorb(directory, wait=wait).bad_files
    except (MetricsDirectoryBusyError, OSError) as error:
        _log.info("the dead are not absorbed now", extra={"why": str(error)})
        return
    if bad:
        registry.scrape.collect_errors.child(COLLECTOR).inc(bad)
        _log.warning("files of the dead are unreadable, set aside as *.bad", extra={"files": bad})
