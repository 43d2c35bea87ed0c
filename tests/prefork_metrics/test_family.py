"""A family's labels are closed sets; what falls outside is counted as such."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from prefork_metrics import values
from prefork_metrics.family import Computed, CounterFamily, GaugeFamily


@pytest.fixture
def overflows() -> list[str]:
    """The families whose values overflowed."""
    return []


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def read(registry: CollectorRegistry) -> Callable[[], dict[tuple[str, ...], float]]:
    def values() -> dict[tuple[str, ...], float]:
        return {
            tuple(sample.labels.values()): sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if not sample.name.endswith("_created")
        }

    return values


@pytest.fixture
def family(
    registry: CollectorRegistry, overflows: list[str], monkeypatch: pytest.MonkeyPatch
) -> CounterFamily:
    monkeypatch.setattr(values, "store", values.Store())  # this test's values are its own
    labels = {"kind": ("a", "b"), "route": None}
    return CounterFamily(
        Counter,
        "x_total",
        "Help.",
        labels,
        "a test",
        on_overflow=overflows.append,
        registry=registry,
    )


Read = Callable[[], dict[tuple[str, ...], float]]


def test_known_value_is_counted(family: CounterFamily, read: Read, overflows: list[str]) -> None:
    family.child("a", "/one").inc()
    family.child("a", "/one").inc()

    assert read() == {("a", "/one"): 2}
    assert overflows == []


def test_unknown_value_is_counted_as_other(
    family: CounterFamily, read: Read, overflows: list[str]
) -> None:
    for value in ("c", "d", "c"):
        family.child(value, "/one").inc()

    assert read() == {("other", "/one"): 3}
    assert overflows == ["x_total"] * 3


def test_made_up_values_are_not_remembered(family: CounterFamily, overflows: list[str]) -> None:
    for number in range(100):
        family.child(f"made-up-{number}", "/one").inc()

    assert len(family._children) == 1


def test_open_label_takes_what_the_program_passes(
    family: CounterFamily, read: Read, overflows: list[str]
) -> None:
    family.child("b", "/any").inc()

    assert read() == {("b", "/any"): 1}
    assert overflows == []


@pytest.mark.parametrize("values", [(), ("a",), ("a", "/one", "more")])
def test_wrong_number_of_values_is_a_mistake(
    family: CounterFamily, values: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError):
        family.child(*values)


def test_created_combinations_are_zero(family: CounterFamily, read: Read) -> None:
    family.create(("a", "b"), ("/one", "/two"))

    assert read() == dict.fromkeys(
        [("a", "/one"), ("a", "/two"), ("b", "/one"), ("b", "/two")], 0.0
    )


def test_create_all_creates_every_enumerated_combination(
    registry: CollectorRegistry, read: Read
) -> None:
    labels = {"one": ("a", "b"), "two": ("c",)}
    CounterFamily(Counter, "y_total", "Help.", labels, "a test", registry=registry).create_all()

    assert read() == {("a", "c"): 0.0, ("b", "c"): 0.0}


def test_family_without_labels_has_one_child(registry: CollectorRegistry, read: Read) -> None:
    family = GaugeFamily(Gauge, "z", "Help.", {}, "a test", registry=registry)
    family.create_all()
    family.child().set(3)

    assert read() == {(): 3.0}


def test_child_is_the_same_every_time(family: CounterFamily) -> None:
    assert family.child("a", "/one") is family.child("a", "/one")


def test_family_knows_what_it_is(family: CounterFamily) -> None:
    assert (family.name, family.kind, family.moved_by) == ("x_total", "counter", "a test")


def test_computed_family_keeps_nothing() -> None:
    computed = Computed("c", "Help.", {"status": ("a", "b")}, "a test")

    first = computed.samples([(("a",), 1.0), (("b",), 2.0)])

    assert [(s.name, s.labels, s.value) for s in first.samples] == [
        ("c", {"status": "a"}, 1.0),
        ("c", {"status": "b"}, 2.0),
    ]
    assert computed.samples([]).samples == []
