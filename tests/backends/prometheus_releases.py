"""Releases of Prometheus, each told to take starts and native histograms, as in Compose."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.backends import signal_stores

PROMTOOL = signal_stores.PLACE / "testing/usr/bin/promtool"
"""Of 3.5, the release of Debian's testing."""
PROMTOOLS = {"2": "promtool", "3": str(PROMTOOL)}

_STARTS = "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion"


class Release(NamedTuple):
    """A release. Attributes: program; flags; scrape (settings of each job)."""

    program: str
    flags: Sequence[str] = ()
    scrape: Mapping[str, Any] = {}

    def missing(self) -> str | None:
        """Return in words that it is not there, or None."""
        return None if shutil.which(self.program) else f"{self.program} is not there"


RELEASES = {
    "2.42": Release("prometheus"),
    # Debian's: native histograms are a feature there, and not yet a setting of a scrape.
    "3.5": Release(
        str(signal_stores.PLACE / "testing/usr/bin/prometheus"),
        [f"{_STARTS},native-histograms"],
        {"always_scrape_classic_histograms": True},
    ),
    # Built from its module: has all that 3.13 has, which Compose ships.
    "3.16": Release(
        str(signal_stores.program("prometheus")),
        [_STARTS],
        {"scrape_native_histograms": True, "always_scrape_classic_histograms": True},
    ),
}


def chosen() -> Release:
    """Return the release that tests are to use where they name none: TEST_PROMETHEUS=3.5, say."""
    return RELEASES[os.environ.get("TEST_PROMETHEUS", "2.42")]


def missing_promtool(program: str) -> str | None:
    """Return in words that this promtool is not there, or None."""
    return None if Path(shutil.which(program) or "").is_file() else f"{program} is not there"
