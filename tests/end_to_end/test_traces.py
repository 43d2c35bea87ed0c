"""Traces of a real server with two workers, as a receiver of OTLP gets them."""

import os
import re
import secrets
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Any

import psutil
import pytest

from app.tracing.rings import SLOTS
from tests.backends import http
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.otlp_sink import Behaviour, OtlpSink, Received
from tests.backends.programs import alive, wait_until
from tests.backends.registry import Registry
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import PASSWORD, Api
from tests.end_to_end.sockets import Screen, opened
from tests.sizes import size
from tests.support.rings import held

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]

SERVER, CLIENT = 2, 3
PATIENCE = 20.0


@pytest.fixture
def traced(sink: OtlpSink, web_server: WebServerFactory) -> WebServer:
    return web_server(settings(sink, VIBEBOX_TRACES_RATIO="1"))


def settings(sink: OtlpSink, **more: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test%20bed,broken",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret",
        **more,
    }


def arrived(sink: OtlpSink, trace_id: str, number: int = 1) -> list[Received]:
    """Return the spans of a trace once so many are there."""
    wait_until(lambda: len(sink.trace(trace_id)) >= number, PATIENCE)
    return list(sink.trace(trace_id))


def test_a_request_is_one_trace_with_its_statements(traced: WebServer, sink: OtlpSink) -> None:
    before = time_ns()
    with Api(traced.url) as api:
        api.sign_up()
        answer = api.call("GET", "/environments?limit=5&token=vbx_at_secret")
    id = answer.headers["X-Request-ID"]
    root, *children = arrived(sink, id, 2)
    assert (root.name, root.kind) == ("GET /api/v1/environments", SERVER)
    assert root.parent_id == ""
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["http.route"] == "/api/v1/environments"
    assert root.attributes["url.path"] == "/api/v1/environments"
    assert root.attributes["vibebox.request_id"] == id
    assert root.resource["service.name"] == "vibebox"
    assert root.resource["deployment.environment.name"] == "test bed"
    assert before <= root.begin <= root.end <= time_ns()
    assert {child.parent_id for child in children} == {root.span_id}
    assert len({span.span_id for span in (root, *children)}) == 1 + len(children)
    for child in children:
        assert child.kind == CLIENT
        assert root.begin <= child.begin <= child.end <= root.end
        assert child.attributes["db.system.name"] == "sqlite"
    assert "SELECT environments" in {child.name for child in children}
    assert sink.requests[0]["path"] == "/v1/traces"
    assert sink.requests[0]["authorization"] == "Bearer s3cret"
    (line,) = [line for line in traced.log_lines() if line.get("request_id") == id]
    assert (line["trace_id"], line["span_id"]) == (id, root.span_id)
    for body in sink.bodies:
        for secret in (b"vbx_", b"token=", b"s3cret", PASSWORD.encode()):
            assert secret not in body


def test_the_callers_trace_is_continued(traced: WebServer, sink: OtlpSink) -> None:
    trace_id, parent = secrets.token_hex(16), secrets.token_hex(8)
    headers = {"traceparent": f"00-{trace_id}-{parent}-00", "tracestate": "vendor=1, x=y"}
    http.get(f"{traced.url}/api/v1/environments", headers=headers)
    (root, *_) = arrived(sink, trace_id)
    assert (root.parent_id, root.state) == (parent, "vendor=1,x=y")
    assert not root.is_error


def test_nothing_of_a_killed_worker_is_lost(sink: OtlpSink, web_server: WebServerFactory) -> None:
    server = web_server(settings(sink, VIBEBOX_TRACES_RATIO="1"))
    sink.behave(*[Behaviour(status=503)] * 2)
    ids = []
    for _ in range(5):
        for _ in range(20):
            ids.append(http.get(f"{server.url}/nothing").headers["X-Request-ID"])
        time.sleep(0.1)  # a request ends a moment after its answer
        killed = server.worker_pids()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        server.wait_for_workers(partial(_are_others, killed))
        server.wait_live()
    wait_until(lambda: set(ids) <= {span.trace_id for span in list(sink.spans)}, PATIENCE)
    assert sink.doubles() == 0

    def all_told() -> bool:
        return server.metric("vibebox_spans_total", result="exported") == len(sink.spans)

    wait_until(all_told, PATIENCE)
    assert server.metric("vibebox_spans_total", result="dropped") == 0


@pytest.mark.parametrize("ratio", ["0"])
def test_failures_and_what_an_exemplar_names_are_kept(
    sink: OtlpSink, web_server: WebServerFactory, ratio: str
) -> None:
    server = web_server(settings(sink, VIBEBOX_TRACES_RATIO=ratio))
    stranger = secrets.token_hex(16)
    for _ in range(50):
        http.get(f"{server.url}/nothing", headers={"traceparent": f"00-{stranger}-{'1' * 16}-01"})
    named = exemplars(server)
    assert named
    for id in named:
        arrived(sink, id)
    kept = {span.attributes["vibebox.kept_because"] for span in list(sink.spans)}
    assert kept <= {"exemplar", "slow", "failed"}
    assert len(sink.spans) < 10


def _are_others(killed: list[int], pids: list[int]) -> bool:
    return len(pids) == 2 and not set(pids) & set(killed)


def exemplars(server: WebServer) -> set[str]:
    """Return the traces that exemplars of requests name."""
    text = http.get(
        f"{server.url}/health/metrics", headers={"Accept": "application/openmetrics-text"}
    ).text
    assert "request_id=" not in text
    return set(re.findall(r'# \{trace_id="([0-9a-f]{32})"\}', text))


def test_a_dead_receiver_costs_nothing_and_what_is_kept_waits(
    web_server: WebServerFactory, tmp_path: Path
) -> None:
    with OtlpSink() as gone:
        port = gone.port
    server = web_server(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "VIBEBOX_TRACES_RATIO": "1"}
    )
    id = http.get(f"{server.url}/nothing").headers["X-Request-ID"]
    wait_until(lambda: told(server, "traces not taken, trying again"), PATIENCE)
    with OtlpSink(port) as back:
        arrived(back, id)


def told(server: WebServer, event: str) -> bool:
    return any(line.get("event") == event for line in server.log_lines())


def test_another_exporter_takes_over(traced: WebServer, sink: OtlpSink) -> None:
    wait_until(lambda: told(traced, "exporting traces"), PATIENCE)
    working = {
        line["pid"] for line in traced.log_lines() if line.get("event") == "exporting traces"
    }
    (pid,) = working
    psutil.Process(pid).kill()
    id = http.get(f"{traced.url}/nothing").headers["X-Request-ID"]
    arrived(sink, id)
    assert told(traced, "exporter ended, starting another")


def test_it_ends_with_its_server(traced: WebServer, sink: OtlpSink) -> None:
    wait_until(lambda: told(traced, "exporting traces"), PATIENCE)
    children = psutil.Process(traced.pid).children(recursive=True)
    id = http.get(f"{traced.url}/nothing").headers["X-Request-ID"]
    assert traced.terminate() == 0
    assert not any(child.is_running() for child in children)
    assert sink.trace(id)


def test_off_without_a_receiver(sink: OtlpSink, web_server: WebServerFactory) -> None:
    server = web_server(settings(sink, OTEL_SDK_DISABLED="TRUE"))
    http.get(f"{server.url}/nothing")
    wait_until(lambda: told(server, "request"), PATIENCE)
    assert not any("span_id" in line for line in server.log_lines())
    assert not told(server, "exporting")
    assert not sink.requests


def test_what_the_receiver_leaves_out_is_counted(
    sink: OtlpSink, web_server: WebServerFactory
) -> None:
    server = web_server(settings(sink, VIBEBOX_TRACES_RATIO="1"))

    def spans(result: str) -> float:
        return server.metric("vibebox_spans_total", result=result)

    sink.behave(Behaviour(rejected=1))
    http.get(f"{server.url}/nothing")
    wait_until(lambda: spans("rejected") == 1, PATIENCE)
    assert told(server, "spans rejected")
    sink.behave(Behaviour(status=403))
    http.get(f"{server.url}/nothing")
    wait_until(lambda: spans("failed") >= 1, PATIENCE)
    assert told(server, "traces refused")
    id = http.get(f"{server.url}/nothing").headers["X-Request-ID"]
    arrived(sink, id)
    # The scrapes are traced too: so all is counted only when nothing is asked for a while.
    settled = ("exported", "rejected", "failed", "dropped")
    wait_until(lambda: spans("recorded") - sum(map(spans, settled)) <= 3, PATIENCE)


def test_what_has_no_room_is_counted(web_server: WebServerFactory) -> None:
    with OtlpSink() as gone:
        port = gone.port
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "VIBEBOX_TRACES_MB": "1"}
    server = web_server({**env, "VIBEBOX_TRACES_RATIO": "1"}, start=False)
    rings = Path(f"{server.env['PROMETHEUS_MULTIPROC_DIR']}-traces")
    with held(rings, 1 << 20, SLOTS, SLOTS - 3):
        server.start()
        ids = [http.get(f"{server.url}/nothing").headers["X-Request-ID"] for _ in range(600)]
    dropped = server.metric("vibebox_spans_total", result="dropped")
    recorded = server.metric("vibebox_spans_total", result="recorded")
    assert dropped > 0
    assert recorded + dropped >= len(ids)
    with OtlpSink(port) as back:
        wait_until(lambda: len(back.spans) >= recorded, PATIENCE)
        arrived(back, http.get(f"{server.url}/nothing").headers["X-Request-ID"])


def test_what_an_environment_does_is_traced_down_to_docker(
    sink: OtlpSink,
    web_server: WebServerFactory,
    docker_engine: DockerEngine,
    registry: Registry,
) -> None:
    server = web_server(
        settings(
            sink,
            VIBEBOX_TRACES_RATIO="1",
            VIBEBOX_STOP_GRACE="0",
            DOCKER_HOST=docker_engine.host,
        )
    )
    agent = Agent.beside(server).start()
    try:
        with Api(server.url) as api:
            api.sign_up()
            client: Any = docker_engine.client()
            image = registry.push(client, docker_engine.busybox, "tools/traced", "1")
            box = api.create("traced", image)
            answer = api.call("POST", f"/environments/{box}/start?wait=60")
            assert answer.json()["status"] == "running", answer.text
            _pulled(sink, answer.headers["X-Request-ID"])
            made = api.call("POST", f"/environments/{box}/sessions", {"type": "shell"}).json()
            _in_a_terminal(sink, api, made["id"])
            _extended(sink, api, client, box)
        rounds = {"sweep", "reconcile", "events", "log_intake", "exits", "sessions", "leadership"}
        rounds |= {"pulls", "extensions", "sessions_on_start", "housekeeping", "expired"}
        wait_until(lambda: rounds <= of_the_agent(sink), PATIENCE)
        parts = {"log_intake", "docker logs", "INSERT log_entries"}
        wait_until(lambda: parts <= of_a_round(sink, "log_intake"), PATIENCE)
    finally:
        agent.close()
        docker_engine.clear()


def _pulled(sink: OtlpSink, trace_id: str) -> None:
    """The request that asks for a start, the agent that pulls for it, and what Docker does."""
    request = "POST /api/v1/environments/<environment_id>/start"
    wanted = {request, "pull", "sessions of a start"}
    wait_until(lambda: wanted <= names(sink, trace_id), PATIENCE)
    spans = {span.name: span for span in sink.trace(trace_id)}
    root = spans[request]
    pull = spans["pull"]
    assert (pull.parent_id, pull.resource["vibebox.worker"]) == (root.span_id, "agent")
    assert spans["sessions of a start"].parent_id == root.span_id
    for name in ("docker pull", "docker create", "docker start"):
        assert spans[name].parent_id == pull.span_id
        assert pull.begin <= spans[name].begin <= spans[name].end <= pull.end


def _in_a_terminal(sink: OtlpSink, api: Api, session: str) -> None:
    """A WebSocket is its handshake, and short spans that are linked to it."""
    trace_id, parent = secrets.token_hex(16), secrets.token_hex(8)
    path = f"/sessions/{session}/terminal"
    with opened(api, path, traceparent=f"00-{trace_id}-{parent}-01") as socket:
        screen = Screen(socket)
        screen.type("echo trace${TRACEPARENT}.\n")
        screen.wait("trace00-")
        told = screen.text.rpartition("trace00-")[2][:49]
        screen.resize(100, 40)
        screen.type(f"printf '{PROGRAM}' >/bin/code-server; chmod +x /bin/code-server\n")
        screen.type("echo said >/proc/1/fd/1; echo ma''de\n")
        screen.wait("made")
    (handshake, *_) = arrived(sink, trace_id)
    assert handshake.name == "GET /api/v1/sessions/<session_id>/terminal"
    assert handshake.parent_id == parent
    assert told.split("-")[:2] == [trace_id, handshake.span_id]

    def linked() -> dict[str, Received]:
        mine = ((trace_id, handshake.span_id),)
        return {span.name: span for span in list(sink.spans) if span.links == mine}

    steps = {"terminal attach", "terminal resize", "terminal end", "websocket close"}
    wait_until(lambda: steps <= linked().keys(), PATIENCE)
    for name, span in linked().items():
        assert span.parent_id == "", name
        assert span.trace_id != trace_id, name
        assert span.end - span.begin < 10e9, name
    attached = {span.name for span in sink.trace(linked()["terminal attach"].trace_id)}
    assert attached >= {"INSERT terminals", "docker exec"}


PROGRAM = "#!/bin/sh\\necho $TRACEPARENT >/traced\\n"


def _extended(sink: OtlpSink, api: Api, client: Any, box: str) -> None:
    """The agent installs an extension in the trace of the request, and tells the command of it."""
    answer = api.call("POST", f"/environments/{box}/extensions", {"id": "ms-python.python"})
    assert answer.status_code == 202, answer.text
    trace_id = answer.headers["X-Request-ID"]
    wait_until(lambda: {"extension", "docker exec"} <= names(sink, trace_id), PATIENCE)
    spans = {span.name: span for span in sink.trace(trace_id)}
    installing = spans["extension"]
    assert installing.resource["vibebox.worker"] == "agent"
    assert installing.parent_id in {s.span_id for s in sink.trace(trace_id) if s.kind == SERVER}
    made = client.exec_create(f"vibebox-{box}", ["cat", "/traced"])["Id"]
    said = client.exec_start(made).decode().strip().split("-")
    assert said[1] == trace_id
    assert said[2] in {span.span_id for span in sink.trace(trace_id) if span.name == "docker exec"}


def of_the_agent(sink: OtlpSink) -> set[str]:
    return {s.name for s in list(sink.spans) if s.resource["vibebox.worker"] == "agent"}


def of_a_round(sink: OtlpSink, name: str) -> set[str]:
    """Return the names of all spans in the traces that begin with this one."""
    spans = list(sink.spans)
    begun = {span.trace_id for span in spans if span.name == name and not span.parent_id}
    return {span.name for span in spans if span.trace_id in begun}


def names(sink: OtlpSink, trace_id: str) -> set[str]:
    return {span.name for span in sink.trace(trace_id)}


def test_it_ends_with_a_killed_server(traced: WebServer, sink: OtlpSink) -> None:
    wait_until(lambda: told(traced, "exporting traces"), PATIENCE)
    both = exporters(traced)
    assert len(both) == 2
    os.kill(traced.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, both)), PATIENCE)


def test_made_up_methods_are_no_names(traced: WebServer, sink: OtlpSink) -> None:
    answer = http.request("BREW", f"{traced.url}/nothing")
    (root, *_) = arrived(sink, answer.headers["X-Request-ID"])
    assert (root.name, root.attributes["http.request.method"]) == ("HTTP unmatched", "_OTHER")


def exporters(server: WebServer) -> list[psutil.Process]:
    """Return the supervisor and the exporter of a server."""
    return [
        process
        for process in psutil.Process(server.pid).children(recursive=True)
        if "exporter" in process.cmdline()
    ]


@pytest.mark.full
def test_a_killed_supervisor_is_started_anew(traced: WebServer, sink: OtlpSink) -> None:
    wait_until(lambda: told(traced, "exporting traces"), PATIENCE)
    for process in exporters(traced):
        process.kill()
    wait_until(lambda: told(traced, "helper ended, starting another"), PATIENCE)
    arrived(sink, http.get(f"{traced.url}/nothing").headers["X-Request-ID"])


def test_none_is_left_of_a_server_that_dies_at_once(
    sink: OtlpSink, web_server: WebServerFactory
) -> None:
    for pause in size((0.1,), (0.0, 0.1, 0.3)):
        server = web_server(settings(sink), start=False)
        server.start(wait=False)
        wait_until(lambda its=server: told(its, "exporting"), PATIENCE)  # type: ignore[misc]
        time.sleep(pause)
        started = exporters(server)
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda all=started: not any(map(alive, all)), PATIENCE)  # type: ignore[misc]


def test_a_deleted_directory_is_made_anew(traced: WebServer, sink: OtlpSink) -> None:
    arrived(sink, http.get(f"{traced.url}/nothing").headers["X-Request-ID"])
    shutil.rmtree(f"{traced.env['PROMETHEUS_MULTIPROC_DIR']}-traces")

    def comes() -> bool:
        id = http.get(f"{traced.url}/nothing").headers["X-Request-ID"]
        time.sleep(0.3)
        return bool(sink.trace(id))

    time.sleep(5.5)  # after so many seconds a writer looks whether its file is there
    http.get(f"{traced.url}/nothing")
    wait_until(comes, PATIENCE, interval=0.1)


def test_ids_that_a_stranger_chose_force_nothing(
    sink: OtlpSink, web_server: WebServerFactory
) -> None:
    server = web_server(settings(sink, VIBEBOX_TRUSTED_PROXIES="1", VIBEBOX_TRACES_RATIO="0.01"))
    for number in range(200):
        parent = f"00-{'ab' * 9}{number:014x}-{'1' * 16}-01"
        http.get(f"{server.url}/nothing", headers={"traceparent": parent})
    recorded = server.metric("vibebox_spans_total", result="recorded")
    assert recorded < 40
