"""Docker calls are measured by wrapping the gateway: each once, by what it means."""

from typing import Any

import pytest

from app.core import errors
from app.engine import OPERATIONS, ContainerSpec, Engine, ExecState
from app.metrics.engine_calls import EXPECTED, measured
from tests.support.checks import moved
from tests.support.fakes import IMAGE, FakeEngine

CALLS = "vibebox_docker_operations_total"
TIMES = "vibebox_docker_operation_duration_seconds_count"
ALL_ERRORS = {
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.EngineError)
}
FAILURES = {
    errors.EngineError,
    errors.EngineFullError,
    errors.EngineTimeoutError,
    errors.EngineUnreachableError,
}


class Raising(FakeEngine):
    """An engine whose ping raises what it is told to."""

    error: BaseException

    def ping(self, timeout: float | None = None) -> None:
        raise self.error


def _make(error: type[Exception]) -> Exception:
    named = (errors.ImageMissingError, errors.ImagePullError)
    return error("busybox") if error in named else error()


def test_every_error_of_the_engine_is_classified() -> None:
    assert set(EXPECTED) | FAILURES == ALL_ERRORS
    assert not set(EXPECTED) & FAILURES


@pytest.mark.parametrize("error", sorted(ALL_ERRORS, key=str), ids=lambda error: error.__name__)
def test_error_counts_by_what_it_says_of_docker(error: type[Exception]) -> None:
    engine = Raising()
    engine.error = _make(error)
    with moved(CALLS) as calls, moved(TIMES) as times, pytest.raises(error):
        measured(engine).ping()

    assert calls == {("ping", "failure" if error in FAILURES else "success"): 1}
    assert times == {("ping",): 1}


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()], ids=repr)
def test_what_nobody_foresaw_is_a_failure(error: BaseException) -> None:
    engine = Raising()
    engine.error = error
    with moved(CALLS) as calls, pytest.raises(type(error)):
        measured(engine).ping()

    assert calls == {("ping", "failure"): 1}


_SPEC = ContainerSpec("e", "n", IMAGE, {}, [], 1.0, 64)
_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "ping": (),
    "list_containers": (),
    "inspect": ("n",),
    "inspect_image": (IMAGE,),
    "pull": (IMAGE,),
    "create": (_SPEC,),
    "start": ("n",),
    "stop": ("n", 1),
    "restart": ("n", 1),
    "kill": ("n",),
    "pause": ("n",),
    "unpause": ("n",),
    "update": ("n",),
    "stats": ("n",),
    "counters": ("n",),
    "logs": ("n",),
    "events": (),
    "volume_create": ("v", {}),
    "volume_remove": ("v",),
    "disk_usage": (),
    "list_volumes": (),
    "remove": ("n",),
    "exec": ("n", ["true"]),
    "put_file": ("n", "/tmp/x", b"", (0, 0)),
    "terminal": ("n", ["true"]),
    "limit_processes": ("n", 64),
    "processes": ("n",),
    "resize_terminal": ("1",),
    "inspect_exec": ("1",),
}


_SIZE = {"cols": 80, "rows": 24}
_NAMED: dict[str, dict[str, Any]] = {
    "update": {"cpu_limit": 2.0, "memory_limit_mb": 128},
    "terminal": _SIZE,
    "resize_terminal": _SIZE,
}


@pytest.mark.parametrize("method", OPERATIONS)
def test_every_operation_counts_once(method: str) -> None:
    fake = FakeEngine()
    fake.create(_SPEC)
    fake.execs["1"] = ExecState(True, None)
    fake.only().status = "paused" if method == "unpause" else "running"
    engine: Engine = measured(fake)
    with moved(CALLS) as calls, moved(TIMES) as times:
        getattr(engine, method)(*_ARGUMENTS[method], **_NAMED.get(method, {}))

    assert calls == {(OPERATIONS[method], "success"): 1}
    assert times == {(OPERATIONS[method],): 1}
    assert fake.calls[-1] == method


def test_arguments_and_results_pass_through() -> None:
    engine = measured(FakeEngine())
    container = engine.create(_SPEC)

    assert engine.inspect(container).id == container
    assert engine.exec(container, ["true"], timeout=3).exit_code == 0


def test_closing_is_no_operation() -> None:
    with moved(CALLS) as calls:
        measured(FakeEngine()).close()

    assert calls == {}
