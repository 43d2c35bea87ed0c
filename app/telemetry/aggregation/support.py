"""Whether the installed client library is one that the aggregator understands."""

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

from app.telemetry.aggregation.aggregator import Aggregator
from app.telemetry.aggregation.page import Metrics

_log = logging.getLogger(__name__)

# file, sample, labels, value, timestamp
_ENTRIES: tuple[tuple[str, str, str, dict[str, str], float, float], ...] = (
    ("counter_1.db", "vibebox_c", "vibebox_c_total", {}, 1.5, 0.0),
    ("counter_2.db", "vibebox_c", "vibebox_c_total", {}, 2.0, 0.0),
    ("histogram_1.db", "vibebox_h", "vibebox_h_bucket", {"a": 'ü"\\\n', "le": "0.5"}, 2.0, 0.0),
    ("histogram_1.db", "vibebox_h", "vibebox_h_bucket", {"a": 'ü"\\\n', "le": "+Inf"}, 3.0, 0.0),
    ("histogram_1.db", "vibebox_h", "vibebox_h_sum", {"a": 'ü"\\\n'}, 0.25, 0.0),
    ("gauge_all_1.db", "vibebox_a", "vibebox_a", {"b": "c"}, -4.0, 0.0),
    ("gauge_all_2.db", "vibebox_a", "vibebox_a", {"b": "c"}, float("inf"), 0.0),
    ("gauge_livemax_1.db", "vibebox_m", "vibebox_m", {}, 5.0, 0.0),
    ("gauge_livemax_2.db", "vibebox_m", "vibebox_m", {}, 6.0, 0.0),
    ("gauge_mostrecent_1.db", "vibebox_r", "vibebox_r", {}, 7.0, 1.0),
    ("gauge_mostrecent_2.db", "vibebox_r", "vibebox_r", {}, 8.0, 2.0),
)


def supported() -> bool:
    """Say whether we read the client library's files as it does itself.

    Call it once at start-up, before the aggregator is used; where it answers False, which it logs,
    the client's own collector must serve. It takes about 5 ms.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="vibebox-format-") as name:
            files = sorted(_write(Path(name)))
            same = _ours(files) == _theirs(files)
    except Exception as error:
        # Whatever a later client library does differently, an import that fails included.
        return _refuse(f"{type(error).__name__}: {error}")
    return same or _refuse("the text differs")


def _refuse(why: str) -> bool:
    _log.warning("metrics file format is not the known one", extra={"why": why})
    return False


def _write(directory: Path) -> Iterable[Path]:
    from prometheus_client.mmap_dict import MmapedDict, mmap_key

    files: dict[str, MmapedDict] = {}
    for file, family, name, labels, value, timestamp in _ENTRIES:
        if file not in files:
            files[file] = MmapedDict(str(directory / file))
        key = mmap_key(family, name, list(labels), list(labels.values()), "Help ü.")
        files[file].write_value(key, value, timestamp)
    for written in files.values():
        written.close()
    return directory.iterdir()


def _ours(files: list[Path]) -> list[bytes]:
    rendered = Aggregator().render(files, openmetrics=False)
    return [] if rendered.errors else sorted(rendered.body.splitlines())


def _theirs(files: list[Path]) -> list[bytes]:
    from prometheus_client.exposition import generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    merged = MultiProcessCollector.merge([str(file) for file in files])
    return sorted(generate_latest(Metrics(*merged)).splitlines())
