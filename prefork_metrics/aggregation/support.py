"""Whether the installed client library is one that the aggregator understands.

The test has files that the library writes, in memory: it needs no directory that may be written,
and what it finds is the library's doing. Where the test itself cannot be done, that is another
matter, and said as such.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

from prefork_metrics.aggregation.aggregator import Aggregator
from prefork_metrics.aggregation.text_cache import Metrics

_log = logging.getLogger(__name__)

# file, sample, labels, value, timestamp
_ENTRIES: tuple[tuple[str, str, str, dict[str, str], float, float], ...] = (
    ("counter_1.db", "test_c", "test_c_total", {}, 1.5, 0.0),
    ("counter_2.db", "test_c", "test_c_total", {}, 2.0, 0.0),
    ("histogram_1.db", "test_h", "test_h_bucket", {"a": 'ü"\\\n', "le": "0.5"}, 2.0, 0.0),
    ("histogram_1.db", "test_h", "test_h_bucket", {"a": 'ü"\\\n', "le": "+Inf"}, 3.0, 0.0),
    ("histogram_1.db", "test_h", "test_h_sum", {"a": 'ü"\\\n'}, 0.25, 0.0),
    ("gauge_all_1.db", "test_a", "test_a", {"b": "c"}, -4.0, 0.0),
    ("gauge_all_2.db", "test_a", "test_a", {"b": "c"}, float("inf"), 0.0),
    ("gauge_livemax_1.db", "test_m", "test_m", {}, 5.0, 0.0),
    ("gauge_livemax_2.db", "test_m", "test_m", {}, 6.0, 0.0),
    ("gauge_mostrecent_1.db", "test_r", "test_r", {}, 7.0, 1.0),
    ("gauge_mostrecent_2.db", "test_r", "test_r", {}, 8.0, 2.0),
)
_HELP = "Help ü."

# What they come to: family, kind, and each sample with its labels and value.
_MERGED: tuple[tuple[str, str, tuple[tuple[str, dict[str, str], float], ...]], ...] = (
    ("test_c", "counter", (("test_c_total", {}, 3.5),)),
    (
        "test_h",
        "histogram",
        (
            ("test_h_sum", {"a": 'ü"\\\n'}, 0.25),
            ("test_h_bucket", {"a": 'ü"\\\n', "le": "0.5"}, 2.0),
            ("test_h_bucket", {"a": 'ü"\\\n', "le": "+Inf"}, 5.0),
            ("test_h_count", {"a": 'ü"\\\n'}, 5.0),
        ),
    ),
    (
        "test_a",
        "gauge",
        (
            ("test_a", {"b": "c", "pid": "1"}, -4.0),
            ("test_a", {"b": "c", "pid": "2"}, float("inf")),
        ),
    ),
    ("test_m", "gauge", (("test_m", {}, 6.0),)),
    ("test_r", "gauge", (("test_r", {}, 8.0),)),
)


class Support(Enum):
    """What the test found. UNTESTED: it could not be done, which says nothing of the library."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    UNTESTED = "untested"


def client_support() -> Support:
    """Say whether the client library writes its files and its text as we know them.

    Call it once at start-up, before the aggregator is used; where it answers UNKNOWN, which it
    logs, the client's own collector must serve. It takes about 5 ms.
    """
    try:
        with _written() as files:
            same = _ours(files) == _theirs()
    except OSError as error:
        # A library cannot fail so: its files are ours, in memory.
        _log.warning("metrics file format is not tested", extra={"why": str(error)})
        return Support.UNTESTED
    except Exception as error:
        # Whatever a later client library does differently, an import that fails included.
        return _refuse(f"{type(error).__name__}: {error}")
    return Support.KNOWN if same else _refuse("the text differs")


def _refuse(why: str) -> Support:
    _log.error("metrics file format is not the known one: no exemplars", extra={"why": why})
    return Support.UNKNOWN


@contextmanager
def _written() -> Iterator[dict[Path, str]]:
    """Give files in memory that the client library has written, with what they are called."""
    from prometheus_client.mmap_dict import MmapedDict, mmap_key

    with ExitStack() as stack:
        names: dict[Path, str] = {}
        files: dict[str, MmapedDict] = {}
        for name, family, sample, labels, value, timestamp in _ENTRIES:
            if name not in files:
                descriptor = os.memfd_create(f"prefork-metrics-{name}")
                stack.callback(os.close, descriptor)
                path = Path(f"/proc/self/fd/{descriptor}")
                names[path] = name
                files[name] = MmapedDict(str(path))
                stack.callback(files[name].close)
            key = mmap_key(family, sample, list(labels), list(labels.values()), _HELP)
            files[name].write_value(key, value, timestamp)
        yield names


def _ours(files: dict[Path, str]) -> list[bytes]:
    ordered = sorted(files, key=lambda path: files[path])
    rendered = Aggregator(files).render(ordered, openmetrics=False)
    return [] if rendered.errors else sorted(rendered.body.splitlines())


def _theirs() -> list[bytes]:
    from prometheus_client.core import Metric
    from prometheus_client.exposition import generate_latest

    metrics = []
    for name, kind, samples in _MERGED:
        metric = Metric(name, _HELP, kind)
        for sample, labels, value in samples:
            metric.add_sample(sample, labels, value)
        metrics.append(metric)
    return sorted(generate_latest(Metrics(*metrics)).splitlines())
