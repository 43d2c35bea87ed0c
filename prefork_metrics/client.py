"""What the client library's metrics cannot do in its own multiprocess mode, and do here.

`remove()`, `remove_by_labels()` and `clear()` warn there and change nothing that is scraped; an
Info or an Enum is known to its own process only. The classes are the client library's: existing
code that uses them goes on, without a changed line.
"""

import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from prometheus_client import Enum, Info
from prometheus_client.metrics import MetricWrapperBase

from prefork_metrics import values
from prefork_metrics.directory.removed import Match
from prefork_metrics.directory.states import State

_INSTALLED = "_prefork_metrics"


def install() -> None:
    """Have the client library's metrics use the store of this process; once is enough."""
    values.install()
    if hasattr(MetricWrapperBase, _INSTALLED):
        return
    setattr(MetricWrapperBase, _INSTALLED, True)
    base: Any = MetricWrapperBase
    base.remove, base.remove_by_labels, base.clear = _remove, _remove_by_labels, _clear
    _after(Info, "info", _note_info)
    _after(Enum, "state", _note_state)
    _after(Enum, "__init__", _note_first_state)


def _remove(metric: Any, *labelvalues: Any) -> None:
    """Remove the series with these label values. Raises: ValueError where they do not fit."""
    names = metric._labelnames
    if not names:
        raise ValueError(f"{metric} has no labels")
    if len(labelvalues) != len(names):
        raise ValueError(f"{metric} has {len(names)} labels, and was given {labelvalues}")
    _remove_by_labels(metric, dict(zip(names, labelvalues, strict=True)))


def _remove_by_labels(metric: Any, labels: dict[str, Any]) -> None:
    """Remove all series that have these labels; the others may be any.

    Raises: ValueError where the metric has no such labels, TypeError where they are no dictionary.
    """
    if not metric._labelnames:
        raise ValueError(f"{metric} has no labels")
    if not isinstance(labels, dict):
        raise TypeError("labels must be a dictionary")
    if unknown := [name for name in labels if name not in metric._labelnames]:
        raise ValueError(f"{metric} has no labels {unknown}, but {metric._labelnames}")
    if labels:
        wanted = {name: str(value) for name, value in labels.items()}
        _forget(metric, lambda found: wanted.items() <= found.items())


def _clear(metric: Any) -> None:
    """Remove all series of a metric that has labels."""
    if metric._labelnames:
        _forget(metric, lambda found: True)


def _forget(metric: Any, wanted: Callable[[Mapping[str, str]], bool]) -> None:
    names = metric._labelnames
    with metric._lock:
        for held in list(metric._metrics):
            if wanted(dict(zip(names, held, strict=True))):
                del metric._metrics[held]
    name: str = metric._name
    match: Match = lambda family, labels: family == name and wanted(labels)  # noqa: E731
    values.store.remove(match)


def _note_info(metric: Any, told: Mapping[str, str]) -> None:
    _put(metric, "info", dict(told))


def _note_state(metric: Any, state: str) -> None:
    _put(metric, "enum", {one: one == state for one in metric._states})


def _note_first_state(metric: Any, *_arguments: Any, **_named: Any) -> None:
    if metric._is_observable():
        _put(metric, "enum", {one: one == metric._states[0] for one in metric._states}, 0.0)


def _put(metric: Any, kind: str, told: dict[str, Any], at: float | None = None) -> None:
    labels = dict(zip(metric._labelnames, metric._labelvalues, strict=True))
    moment = time.time() if at is None else at
    state = State(kind, metric._name, metric._documentation, labels, told, moment)
    values.store.put_state(state)


def _after(owner: Any, name: str, note: Callable[..., None]) -> None:
    """Have `note` called after the method, with its arguments."""
    method = getattr(owner, name)

    @wraps(method)
    def noted(metric: Any, *arguments: Any, **named: Any) -> None:
        method(metric, *arguments, **named)
        note(metric, *arguments, **named)

    setattr(owner, name, noted)
