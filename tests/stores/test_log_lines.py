"""Lines of a request come from VictoriaLogs and from Loki alike, and no id is read as a query."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from app.core.errors import StoreUnavailableError
from app.stores.http import Store
from app.stores.log_lines import SETTING, Loki, VictoriaLogs
from tests.backends.victoria_logs import VictoriaLogs as Server
from tests.support.stand_in import StandIn

NOW = datetime.now(UTC)
AROUND = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
REQUEST, TRACE = "my-request_1.0", "0af7651916cd43dd8448eb211c80319c"
INJECTED = ['x" or *', "x) or (*", "a b", "", "x" * 129, "x\n", 'x"} | json', "é"]


@pytest.mark.parametrize("id", INJECTED)
@pytest.mark.parametrize("kind", [VictoriaLogs, Loki])
def test_what_is_no_id_is_not_asked_for(peer: StandIn, kind: type[Any], id: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        kind(Store(SETTING, peer.url), "vibebox").lines([REQUEST, id], *AROUND, 10)
    assert peer.asked == []


def test_loki_is_asked_by_structured_metadata(peer: StandIn) -> None:
    ns = str(int(NOW.timestamp()) * 10**9)
    stream = {"service_name": "vibebox", "level": "info"}
    values = [
        [ns, "request", {"structuredMetadata": {"request_id": REQUEST, "path": "/x"}}],
        [ns, json.dumps({"event": "leading", "level": "warning", "epoch": 3})],
    ]
    result = {"resultType": "streams", "result": [{"stream": stream, "values": values}]}
    peer.answers["/loki/api/v1/query_range"] = lambda _: {"data": result}

    found = Loki(Store(SETTING, peer.url), 'vibe"box').lines([REQUEST], *AROUND, 10)

    (_, asked) = peer.asked[0]
    assert asked["query"] == (
        r'{service_name="vibe\"box"} | trace_id="my-request_1.0" or request_id="my-request_1.0"'
    )
    assert int(asked["start"]) == round(AROUND[0].timestamp() * 1e6) * 1000
    assert (asked["limit"], asked["direction"]) == ("10", "forward")
    assert [(line.level, line.event) for line in found] == [
        ("info", "request"),
        ("warning", "leading"),
    ]
    assert found[0].fields == {"path": "/x", "request_id": REQUEST, "service_name": "vibebox"}
    assert found[0].at == NOW.replace(microsecond=0)


def test_loki_is_asked_for_the_last_lines(peer: StandIn) -> None:
    values = [[str(number * 10**9), f"line {number}"] for number in (3, 2, 1)]
    result = {"resultType": "streams", "result": [{"stream": {}, "values": values}]}
    peer.answers["/loki/api/v1/query_range"] = lambda _: {"data": result}

    found = Loki(Store(SETTING, peer.url), "vibebox").latest(*AROUND, 2)

    (_, asked) = peer.asked[0]
    assert (asked["query"], asked["direction"]) == ('{service_name="vibebox"}', "backward")
    assert [line.event for line in found] == ["line 2", "line 3"]


STRANGE: list[Any] = [
    None,
    [{}],
    [{"stream": {}, "values": [1]}],
    [{"stream": 1, "values": [["x", ""]]}],
    [{"stream": {}, "values": [["1" + 26 * "0", ""]]}],  # of the far future, beyond the system's
]


@pytest.mark.parametrize("result", STRANGE)
def test_strange_answer_of_loki_is_told(peer: StandIn, result: Any) -> None:
    peer.answers["/loki/api/v1/query_range"] = lambda _: {"data": {"result": result}}
    with pytest.raises(StoreUnavailableError):
        Loki(Store(SETTING, peer.url), "vibebox").lines([REQUEST], *AROUND, 10)


@pytest.mark.integration
def test_real_victoria_logs_has_the_lines_of_a_request_and_of_a_trace(
    victoria_logs: Server,
) -> None:
    now = time.time()
    lines = [
        {"_msg": "second", "request_id": REQUEST, "path": "/x"},
        {"_msg": "first", "trace_id": TRACE, "severity_text": "ERROR"},
        {"_msg": "another", "request_id": "other"},
        {"_msg": "of a container", "request_id": REQUEST, "service.name": "vibebox-container"},
        {"_msg": "last", "service.name": "vibebox-last"},
        {"_msg": "older", "service.name": "vibebox-last"},
    ]
    shared = {"service.name": "vibebox"}
    body = "\n".join(
        json.dumps({**shared, **line, "_time": f"{now - number:.6f}"})
        for number, line in enumerate(lines)
    )
    pushed = requests.post(
        f"{victoria_logs.url}/insert/jsonline?_stream_fields=service.name", data=body, timeout=10
    )
    assert pushed.status_code == 200
    victoria_logs.flush()
    store = VictoriaLogs(Store(SETTING, victoria_logs.url), "vibebox")

    found = store.lines([REQUEST, TRACE], *AROUND, 10)

    assert [line.event for line in found] == ["first", "second"]
    assert (found[0].level, found[0].fields["trace_id"]) == ("error", TRACE)
    assert found[1].fields["path"] == "/x"
    assert [line.event for line in store.lines([REQUEST, TRACE], *AROUND, 1)] == ["first"]
    assert store.lines(["nothing"], *AROUND, 10) == []
    other = VictoriaLogs(Store(SETTING, victoria_logs.url), "vibebox-last")
    assert [line.event for line in other.latest(*AROUND, 2)] == ["older", "last"]
    assert [line.event for line in other.latest(*AROUND, 1)] == ["last"]
    assert store.lines([REQUEST], AROUND[1], AROUND[1] + timedelta(hours=1), 10) == []
