"""Members, their files and what they come to, for the tests of the metrics directory."""

import math
import os
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from prefork_metrics.directory import Membership, codec, disk, exemplar_records, layout, snapshot
from prefork_metrics.directory.exemplar_records import Exemplar
from prefork_metrics.directory.past_exemplars import PastExemplars

Totals = dict[tuple[str, tuple[tuple[str, str], ...]], float]


BUCKET = mmap_key("time", "time_bucket", ["le"], ["0.5"], "help")


def key(name: str, sample: str | None = None, **labels: str) -> str:
    return mmap_key(name, sample or name, list(labels), list(labels.values()), "help")


def write(
    directory: Path, prefix: str, member: str, values: dict[str, float | tuple[float, float]]
) -> None:
    """Write a member's file as the client library does; a pair is a value and its time."""
    path = layout.values_path(directory, prefix, member)
    with closing(MmapedDict(str(path))) as file:
        for entry_key, value in values.items():
            number, timestamp = value if isinstance(value, tuple) else (value, 0.0)
            file.write_value(entry_key, number, timestamp)


def write_dead(directory: Path, amount: float = 1.0) -> str:
    """Leave a member behind that died with some of everything; return its name."""
    member = Membership(directory)
    membership_ended(member)
    for prefix, values in everything(amount).items():
        write(directory, prefix, member.name, values)
    write_exemplar(directory, member.name, amount)
    return member.name


def write_exemplar(directory: Path, member: str, time: float) -> None:
    """Leave an exemplar of that time in a bucket of the member."""
    entries = codec.read(layout.values_path(directory, "histogram", member))
    places = dict(zip((entry.key for entry in entries), codec.positions(entries), strict=True))
    exemplar = Exemplar((("request_id", f"r{time:g}"),), 0.3, time)
    content = exemplar_records.file_of({("histogram", places[BUCKET]): exemplar})
    layout.side_path(directory, exemplar_records.KIND, member).write_bytes(content)


def exemplars_seen(directory: Path) -> dict[str, str]:
    """Return the id of the exemplar that a scrape shows of each bucket."""
    past = PastExemplars()
    with snapshot(directory) as current:
        for path in current.files:
            if path.name.startswith("histogram_"):
                member = path.stem.partition("_")[2]
                sides = [side for side in current.sides if side.stem.endswith(f"_{member}")]
                past.note("histogram", codec.read(path), sides)
    return {bucket: exemplar.labels[0][1] for bucket, exemplar in past._shown.items()}


def membership_ended(member: Membership) -> None:
    """What the kernel does at the end of a process: the marker stays, its lock goes."""
    member.forget()


def everything(amount: float) -> dict[str, dict[str, float | tuple[float, float]]]:
    return {
        "counter": {key("hits", "hits_total", path="/"): amount},
        "histogram": {
            key("time", "time_sum"): amount / 2,
            key("time", "time_bucket", le="0.5"): amount,
            key("time", "time_bucket", le="+Inf"): 2 * amount,
        },
        "summary": {key("size", "size_count"): amount, key("size", "size_sum"): 3 * amount},
        "gauge_max": {key("peak"): amount},
        "gauge_mostrecent": {key("latest"): (amount, 1000 + amount)},
        "gauge_livesum": {key("busy"): amount},
    }


def stock(files: Iterable[Path]) -> Totals:
    """What the stock collector makes of files; gauges of mode `all` summed over the processes."""
    totals: defaultdict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
    for metric in MultiProcessCollector.merge([str(file) for file in files]):
        for sample in metric.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "pid"}
            totals[sample.name, tuple(sorted(labels.items()))] += sample.value
    return dict(totals)


def seen(directory: Path) -> Totals:
    """What a scrape shows now."""
    with snapshot(directory) as taken:
        return stock(taken.files)


def same(left: Totals, right: Totals) -> bool:
    return left.keys() == right.keys() and all(_alike(left[name], right[name]) for name in left)


def _alike(left: float, right: float) -> bool:
    return (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=1e-12)


def names(directory: Path) -> list[str]:
    """The files but for the locks."""
    return sorted(
        set(os.listdir(directory)) - {layout.READ_WRITE_LOCK, layout.WRITER_PREFERENCE_LOCK}
    )


def fork(function: Callable[[], object]) -> int:
    """Run a function in a child process and end it; return its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        function()
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        os._exit(1)
    os._exit(0)


def ended_by(pid: int) -> int:
    """Wait for a child; return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_to_step(function: Callable[[], object], number: int) -> bool:
    """Run it in a child that is killed just before its n-th step; False: it has fewer steps."""

    def run() -> None:
        steps = iter(range(number))

        def kill_at_last(name: str) -> None:
            if next(steps, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        disk.step = kill_at_last
        function()

    code = ended_by(fork(run))
    assert code in (0, -signal.SIGKILL)
    return code != 0


@contextmanager
def living(
    directory: Path, function: Callable[[Membership], object] | None = None
) -> Iterator[int]:
    """Another process that is a member, for as long as the block; gives its id."""
    reader, writer = os.pipe()

    def live() -> None:
        member = Membership(directory)
        if function is not None:
            function(member)
        os.write(writer, b"joined")
        signal.pause()

    pid = fork(live)
    try:
        assert os.read(reader, 6) == b"joined"
        yield pid
    finally:
        os.close(reader)
        os.close(writer)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
