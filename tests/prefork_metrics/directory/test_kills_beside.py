"""What lies beside the archive comes and goes with it: starts of totals, and native buckets."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from prefork_metrics.aggregation import Aggregator, Beside
from prefork_metrics.aggregation.natives import natives
from prefork_metrics.directory import Membership, absorb, layout, native_records, snapshot
from prefork_metrics.directory.native_records import KIND, PLACES
from tests.prefork_metrics.directory.support import key, membership_ended, run_to_step, write

Shown = dict[str, object]


def write_dead(directory: Path, amount: int, start: float) -> None:
    """Leave a member behind that died with a counter since `start`, and native buckets."""
    member = Membership(directory)
    membership_ended(member)
    counts = [0.0] * PLACES
    counts[amount] = float(amount)
    content = native_records.encode({key("time", path="/"): counts})
    layout.side_path(directory, KIND, member.name).write_bytes(content)
    write(directory, "counter", member.name, {key("hits", "hits_total"): (amount, start)})


def shown(directory: Path) -> Shown:
    with snapshot(directory) as current:
        beside = Beside(frozenset(current.archive), current.sides)
        rendered = Aggregator().render(
            current.files, openmetrics=False, beside=beside, created=True
        )
        found = natives(current.sides, current.removed.natives)
    assert not rendered.errors
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(rendered.body.decode())
        for sample in family.samples
    }
    (counts,) = found.values()
    return {**samples, "native": native_records.sparse(counts)}


def test_kill_at_any_step_changes_nothing_that_is_seen(tmp_path: Path) -> None:
    steps, killed = 0, True
    while killed:
        directory = tmp_path / str(steps)
        directory.mkdir()
        write_dead(directory, 1, 50.0)
        absorb(directory)
        for amount, start in ((2, 40.0), (3, 60.0)):
            write_dead(directory, amount, start)
        expected = {"hits_total": 6.0, "hits_created": 40.0, "native": {1: 1.0, 2: 2.0, 3: 3.0}}
        assert shown(directory) == expected
        killed = run_to_step(lambda at=directory: absorb(at), steps)  # type: ignore[misc]
        assert shown(directory) == expected
        absorb(directory)
        assert shown(directory) == expected
        steps += 1
    assert steps > 20
