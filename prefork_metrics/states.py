"""The families of Info and Enum metrics, as all processes have set them."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import InfoMetricFamily, Metric, StateSetMetricFamily

from prefork_metrics.directory.states import State


def families(states: Iterable[State]) -> Iterator[Metric]:
    """Yield a family for each name, in the order of the names, then of the labels."""
    by_name: dict[tuple[str, str], list[State]] = {}
    for state in sorted(states, key=lambda state: state.key):
        by_name.setdefault((state.kind, state.name), []).append(state)
    for (kind, name), found in sorted(by_name.items()):
        help, labels = found[0].help, sorted(found[0].labels)
        family = InfoMetricFamily if kind == "info" else StateSetMetricFamily
        metric = family(name, help, labels=labels)
        for state in found:
            if sorted(state.labels) == labels:
                metric.add_metric([state.labels[label] for label in labels], state.told)
        yield metric
