"""What is kept: failures, what is slow, what known callers sampled, and a share of the rest."""

import random
import secrets

import pytest

from app.core.trace_context import MOST_SPANS, Parent, SpanKind, Trace, parse
from app.tracing.rules import Quantile, Rate, Reason, Rules

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def trace(parent: Parent | None = None, id: str = "f" * 32) -> Trace:
    return Trace(id, parent)


def test_failures_are_kept() -> None:
    rules = Rules(0, 0)
    assert rules.reason(trace(), "GET /", 0.001, False) is None
    assert rules.reason(trace(), "GET /", 0.001, True) is Reason.FAILED
    one = trace()
    one.note(SpanKind.STATEMENT, 0.0, "select", "users", "OperationalError")
    assert rules.reason(one, "GET /", 0.001, False) is Reason.FAILED


def test_what_failed_within_a_whole_that_did_not_is_kept_now_and_then() -> None:
    """Else whoever asks for a name that is taken has all room for failures."""
    clock = [0.0]
    rules = Rules(0, 0, lambda: clock[0])

    def kept(kind: str, *, failed: bool) -> int:
        found = 0
        for _ in range(200):
            one = trace()
            one.note(SpanKind.STATEMENT, 0.0, "insert", "projects", "UniqueViolation")
            found += rules.reason(one, kind, 0.001, failed) is Reason.FAILED
        return found

    assert kept("POST /projects", failed=False) == 1
    assert kept("POST /projects", failed=True) == 200
    assert kept("POST /teams", failed=False) == 1
    clock[0] = 10.0
    assert kept("POST /projects", failed=False) == 1


def test_slow_is_what_is_far_from_usual_of_its_kind_or_long_for_any() -> None:
    rules = Rules(0, 0)
    for _ in range(1000):
        rules.reason(trace(), "fast", random.uniform(0.001, 0.002), False)
        rules.reason(trace(), "slow", random.uniform(0.2, 0.3), False)
    assert rules.reason(trace(), "fast", 0.1, False) is Reason.SLOW
    assert rules.reason(trace(), "slow", 0.15, False) is None
    assert rules.reason(trace(), "slow", 1.01, False) is Reason.SLOW


@pytest.mark.parametrize("spread", [1.1, 4])
def test_the_bound_follows_the_99th_percentile(spread: float) -> None:
    usual, numbers = Quantile(), random.Random(7)
    for _ in range(20_000):
        usual.exceeded(numbers.lognormvariate(0, spread / 4))
    above = sum(usual.exceeded(numbers.lognormvariate(0, spread / 4)) for _ in range(20_000))
    assert 0.005 < above / 20_000 < 0.02


def test_a_share_is_kept_by_the_trace_and_all_processes_decide_alike() -> None:
    ids = [secrets.token_hex(16) for _ in range(20_000)]
    web, agent = Rules(0.1, 0), Rules(0.1, 0)

    def kept(rules: Rules) -> list[bool]:
        return [rules.reason(trace(id=id), "GET /", 0, False) is not None for id in ids]

    decided = kept(web)
    assert decided == kept(agent)
    assert 0.08 < sum(decided) / len(ids) < 0.12
    assert not any(Rules(0, 0).is_share(trace(id="0" * 32)) for _ in range(10))
    assert Rules(1, 0).is_share(trace())


def test_a_strangers_header_forces_nothing() -> None:
    rules = Rules(0.01, 10)
    chosen = [trace(Parent("0" * 32, SPAN, sampled=True), "0" * 32) for _ in range(2000)]
    kept = sum(rules.reason(one, "GET /", 0, False) is not None for one in chosen)
    assert kept < 60


def test_what_a_known_caller_chose_is_bounded() -> None:
    rules = Rules(0.01, 10)
    chosen = [trace(Parent("0" * 32, SPAN, sampled=True), "0" * 32) for _ in range(2000)]
    for one in chosen:
        one.sampled_by_known = True
    reasons = [rules.reason(one, "GET /", 0, False) for one in chosen]
    assert reasons[:10] == [Reason.CALLER] * 10
    assert sum(reason is not None for reason in reasons) < 80


def test_few_callers_a_second_are_some() -> None:
    now = [0.0]
    rate = Rate(0.5, lambda: now[0])
    taken = 0
    for _ in range(100):
        now[0] += 0.5
        taken += rate.take()
    assert 20 <= taken <= 27


def test_what_takes_long_by_design_is_not_slow() -> None:
    rules = Rules(0, 0)
    for _ in range(300):
        assert rules.reason(trace(), "wait", None, False) is None
    for _ in range(300):
        rules.reason(trace(), "wait", 0.02, False)
    assert rules.reason(trace(), "wait", 0.019, False) is None


def test_callers_have_so_many_a_second() -> None:
    now = [0.0]
    rate = Rate(10, lambda: now[0])
    assert sum(rate.take() for _ in range(100)) == 10
    now[0] = 0.55
    assert sum(rate.take() for _ in range(100)) == 5
    now[0] = 1000.0
    assert sum(rate.take() for _ in range(100)) == 10


def test_spans_of_a_trace_are_bounded_and_the_rest_counted() -> None:
    one = trace()
    for _ in range(MOST_SPANS + 7):
        one.note(SpanKind.DOCKER, 0.0, "inspect", "", "")
    assert (len(one.spans), one.dropped) == (MOST_SPANS, 7)


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_a_callers_context_is_read(header: str, sampled: bool) -> None:
    assert parse(header) == Parent(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        TRACE,
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
    ],
)
def test_an_invalid_context_is_none(header: str) -> None:
    assert parse(header) is None


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("a=1,b=2", "a=1,b=2"),
        (" a=1 , ,b@c=2", "a=1,b@c=2"),
        ("no sign", ""),
        ("A=1", ""),
        ("a=\x07", ""),
        ("a=" + "1" * 600, ""),
    ],
)
def test_an_invalid_state_is_left_out(state: str, kept: str) -> None:
    parent = parse(f"00-{TRACE}-{SPAN}-01", state)
    assert parent is not None
    assert parent.state == kept


def test_a_call_is_told_of_the_trace() -> None:
    one = trace(Parent(TRACE, SPAN, sampled=True), TRACE)
    one.calling = "1" * 16
    assert one.traceparent() == f"00-{TRACE}-{'1' * 16}-00"
    one.sampled_by_known = True
    assert one.traceparent() == f"00-{TRACE}-{'1' * 16}-01"
    assert trace(id=TRACE).traceparent().endswith("-00")
    assert Trace(TRACE, None, lambda _: True).traceparent().endswith("-01")
