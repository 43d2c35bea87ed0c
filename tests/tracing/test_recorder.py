"""What tasks are recorded as: a trace of their own, a part of a request's, or linked to one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core.errors import EngineConflictError, EngineUnreachableError
from app.core.trace_context import (
    Parent,
    Trace,
    current,
    error_type,
    follows,
    record_tasks,
    task,
    traceparent,
)
from app.tracing.recorder import Recorder, Rings
from app.tracing.records import Span, decode
from app.tracing.rings import RingReader
from app.tracing.rules import Rules

ID, SPAN = "ab" * 16, "cd" * 8
Read = Callable[[], list[Span]]


@pytest.fixture(params=[1.0])
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Read]:
    """Record this process's tasks; return what reads them."""
    recorder = Recorder(
        Rules(request.param, 2), Rings(tmp_path, 1 << 20), "sqlite", trusts_peers=False
    )
    record_tasks(recorder.task)
    readers: list[RingReader] = []

    def spans() -> list[Span]:
        if not readers and (tmp_path / "ring-00").exists():
            readers.append(RingReader(tmp_path / "ring-00"))
        return [span for one in readers for record, _ in one.records() for span in decode(record)]

    yield spans
    record_tasks(None)
    recorder.close()
    for one in readers:
        one.close()


def test_a_task_is_a_trace_of_its_own_and_what_is_in_it_a_part(read: Read) -> None:
    with task("outer", said={"number": 1}), task("inner"):
        pass
    outer, inner = read()
    assert (outer.name, outer.kind, outer.parent_id) == ("outer", "internal", "")
    assert outer.attributes["number"] == 1
    assert (inner.name, inner.kind) == ("inner", "internal")
    assert (inner.trace_id, inner.parent_id) == (outer.trace_id, outer.span_id)
    assert outer.link is None


def test_what_a_request_asked_for_goes_on_with_its_trace_also_in_a_task(read: Read) -> None:
    with task("round"), task("asked", Parent(ID, SPAN, sampled=False)):
        assert (traceparent() or "").startswith(f"00-{ID}-")
    asked, around = read()
    assert (asked.trace_id, asked.parent_id, asked.name) == (ID, SPAN, "asked")
    assert (around.name, around.parent_id) == ("round", "")
    assert around.trace_id != ID


def test_what_follows_a_request_is_linked_to_it(read: Read) -> None:
    token = follows.set(Trace(ID, None))
    try:
        with task("resize"):
            pass
    finally:
        follows.reset(token)
    (span,) = read()
    assert span.parent_id == ""
    assert span.trace_id != ID
    assert span.link is not None
    assert span.link[0] == ID


@pytest.mark.parametrize("read", [0.0], indirect=True)
def test_what_follows_a_kept_request_is_kept_so_many_a_second(read: Read) -> None:
    trace = Trace(ID, None)
    token = follows.set(trace)
    try:
        with task("resize"):
            pass
        assert read() == []
        trace.kept = True
        for _ in range(20):
            with task("resize"):
                pass
    finally:
        follows.reset(token)
    assert 2 <= len(read()) <= 4


@pytest.mark.parametrize("read", [0.0], indirect=True)
def test_ids_that_a_stranger_chose_force_nothing_in_the_agent_either(read: Read) -> None:
    chosen = Parent("ab" * 8 + "0" * 16, SPAN, sampled=False)
    for _ in range(50):
        with task("pull", chosen):
            pass
    assert read() == []


@pytest.mark.parametrize("read", [0.0], indirect=True)
def test_what_a_caller_brings_about_is_no_fault(read: Read) -> None:
    with pytest.raises(EngineConflictError), task("resize"):
        raise EngineConflictError
    assert read() == []
    with pytest.raises(EngineUnreachableError), task("resize"):
        raise EngineUnreachableError
    (span,) = read()
    assert (span.error, span.attributes["vibebox.kept_because"]) == (
        "EngineUnreachableError",
        "failed",
    )


def test_a_task_leaves_nothing_behind(read: Read) -> None:
    with pytest.raises(ValueError, match="wrong"), task("wrong"):
        raise ValueError("wrong")
    assert current() is None
    assert error_type(ValueError("secret")) == "ValueError"
