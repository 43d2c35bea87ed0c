"""One trace from a click in a browser to a command in a container, as Jaeger shows it.

Through the console's script, the web server and its SQL, the agent and its SQL, a Docker Engine
that traces itself, and a program in the container that does. Only the browser keeps no span.
"""

import io
import re
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2
from playwright.sync_api import Page, expect

from tests.backends import signal_stores
from tests.backends.agent import Agent
from tests.backends.browser import browser, missing_browser
from tests.backends.busybox import add_file, busybox_root
from tests.backends.docker_engine import DockerEngine
from tests.backends.fault_proxy import FaultProxy
from tests.backends.jaeger import Jaeger, Json, tags
from tests.backends.registry import Registry
from tests.conftest import WebServerFactory, require, shared
from tests.end_to_end.visit import MILLISECONDS, PATIENCE, Visit

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]

NAME = "billing-api"
# What the console shows of errors: what leads to the trace, where the fault is the service's.
_PROBLEMS = """async () => {
  const main = document.querySelector("script[type=module]").src;
  const { Problem } = await import(new URL("access.js", main).href);
  return [
    new Problem(500, { detail: "Broken.", request_id: "r1" }).message,
    new Problem(404, { detail: "Gone.", request_id: "r2" }).message,
  ];
}"""
_TRACE, _PARENT = b"T" * 16, b"P" * 8
# What an SDK does in a program that is given TRACEPARENT and OTEL_*. The agent starts it, which
# takes it for tmux: a span of the trace, and a request of OTLP over HTTP.
PROGRAM = r"""#!/bin/sh
case "$*" in *new-session*) ;; *) exit 0 ;; esac
bytes() { echo "$1" | sed 's/../\\x&/g'; }
ids=${TRACEPARENT#00-}
trace=$(bytes "${ids%%-*}") ids=${ids#*-}
parent=$(bytes "${ids%%-*}")
printf "BODY" >/tmp/body
name=${OTEL_EXPORTER_OTLP_HEADERS%%=*} value=${OTEL_EXPORTER_OTLP_HEADERS#*=}
host=${OTEL_EXPORTER_OTLP_ENDPOINT#http://}
path=/${host#*/} host=${host%%/*}
{
    printf 'POST %s/v1/traces HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n' "$path" "$host"
    printf '%s: %s\r\n' "$name" "$(echo "$value" | sed 's/%20/ /')"
    printf 'Content-Type: application/x-protobuf\r\n'
    printf 'Content-Length: %s\r\n\r\n' "$(wc -c </tmp/body)"
    cat /tmp/body
} | nc -w 5 "${host%%:*}" "${host##*:}" >/answer
"""


@pytest.fixture
def traced_engine(jaeger: Jaeger) -> Iterator[DockerEngine]:
    """A Docker Engine 28 that sends its own spans."""
    for name in ("dockerd", "containerd", "docker-proxy"):
        require("Docker Engine 28", signal_stores.missing_newer(name))
    require("Docker Engine", DockerEngine.installed())
    env = {
        "PATH": signal_stores.newer_path(),
        "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with shared(DockerEngine(env=env)) as engine:
        yield engine


def image(engine: DockerEngine, registry: Registry) -> str:
    """Store an image with the program in the registry; return what to pull it by."""
    with closing(engine.client()) as client:
        root = io.BytesIO(busybox_root())
        with tarfile.open(fileobj=root, mode="a") as archive:
            add_file(archive, "bin/tmux", tarfile.REGTYPE, content=program().encode())
        client.import_image_from_data(
            root.getvalue(),
            repository="vibebox-test/tracing",
            tag="1",
            changes=['CMD ["/bin/sh", "-c", "while :; do sleep 1; done"]', "ENV PATH=/bin"],
        )
        return registry.push(client, "vibebox-test/tracing:1", "tools/tracing", "1")


def program() -> str:
    """Return the program, with the body of its request as printf writes it."""
    now = time.time_ns()
    span = trace_pb2.Span(
        trace_id=_TRACE,
        span_id=b"S" * 8,
        parent_span_id=_PARENT,
        name="work in the container",
        start_time_unix_nano=now,
        end_time_unix_nano=now + 1_000_000,
    )
    part = trace_pb2.ResourceSpans(scope_spans=[trace_pb2.ScopeSpans(spans=[span])])
    body = ExportTraceServiceRequest(resource_spans=[part]).SerializeToString()
    written = "".join(f"\\x{byte:02x}" for byte in body)
    for place, variable in ((_TRACE, "${trace}"), (_PARENT, "${parent}")):
        written = written.replace("".join(f"\\x{byte:02x}" for byte in place), variable)
    return PROGRAM.replace("BODY", written)


def test_a_click_is_one_trace_down_to_the_command_in_the_container(
    jaeger: Jaeger,
    traced_engine: DockerEngine,
    registry: Registry,
    web_server: WebServerFactory,
    tmp_path: Path,
) -> None:
    require("Chromium", missing_browser())
    pulled = image(traced_engine, registry)
    with closing(FaultProxy(("127.0.0.1", jaeger.otlp_port))) as users:
        server = web_server(
            {
                "HOST": "0.0.0.0",
                "VIBEBOX_REGISTRATION": "open",
                "DOCKER_HOST": traced_engine.host,
                "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp,
                "VIBEBOX_TRACES_RATIO": "0",
                "VIBEBOX_TRACES_CALLERS": "1000",
                "VIBEBOX_SECRET_KEYS": Fernet.generate_key().decode(),
                "VIBEBOX_USER_OTLP_ENDPOINT": f"http://127.0.0.1:{users.port}",
                "VIBEBOX_STOP_GRACE": "0",
            },
            start=False,
        )
        server.set(VIBEBOX_USER_OTLP_ADDRESS=f"http://{traced_engine.bridge_address}:{server.port}")
        server.start()
        agent = Agent.beside(server).start()
        try:
            trace_id, clicked = _click(server.url, pulled, tmp_path)
            jaeger.wait_for(lambda one: arrived(one.trace(trace_id)), PATIENCE)
            _judge(jaeger.trace(trace_id), clicked)
        finally:
            agent.close()
            traced_engine.clear()


def _click(url: str, pulled: str, pictures: Path) -> tuple[str, str]:
    """Create and start an environment in a browser; return the trace, and the span of the click."""
    begun: list[str] = []
    with browser() as chromium:
        page: Page = chromium.new_page()
        visit = Visit(page, 1280, pictures)
        page.on("request", lambda request: begun.extend(_traceparent(request.url, request.headers)))
        page.goto(url)
        page.get_by_label("E-mail address").fill("ada@example.org")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Create an account").click()
        expect(page.get_by_role("heading", name="Environments")).to_be_visible(timeout=MILLISECONDS)
        assert page.evaluate(_PROBLEMS) == ["Broken. (request r1)", "Gone."]
        page.get_by_role("button", name="New environment").click()
        page.get_by_label("Name", exact=True).fill(NAME)
        page.get_by_label("Image", exact=True).fill(pulled)
        page.get_by_role("button", name="Create", exact=True).click()
        expect(page.get_by_role("heading", name=NAME)).to_be_visible(timeout=MILLISECONDS)
        visit.wait_for_status("running")
        assert visit.complaints == []
    (header,) = begun
    version, trace_id, span_id, flags = header.split("-")
    assert (version, flags) == ("00", "01")
    return trace_id, span_id


def _traceparent(url: str, headers: dict[str, str]) -> list[str]:
    return [headers["traceparent"]] if re.search(r"/environments/[^/]+/start$", url) else []


def arrived(spans: list[Json]) -> bool:
    """Tell whether the trace has what comes last, from each of those who send."""
    ours = {"work in the container", "sessions of a start", "pull"}
    told = {span["operationName"] for span in spans}
    known = {span["spanID"] for span in spans}
    whole = sum(parent(span) not in known for span in spans) == 1
    return whole and ours <= told and any(name.startswith("dockerd") for name in services(spans))


def services(spans: list[Json]) -> set[str]:
    return {span["process"]["serviceName"] for span in spans}


def _judge(spans: list[Json], clicked: str) -> None:
    """Every span is below another one of the trace, up to the click."""
    by_id = {span["spanID"]: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        assert parent(span) in {*by_id, clicked}, span["operationName"]
    (root,) = [span for span in spans if parent(span) == clicked]
    assert root["operationName"] == "POST /api/v1/environments/<environment_id>/start"
    assert tags(root)["vibebox.kept_because"] in ("caller", "slow")  # slow: on a busy machine
    assert tags(root)["vibebox.request_id"] == root["traceID"]

    def path(span: Json) -> list[str]:
        """Return what a span is below, and whose that is."""
        above = by_id.get(parent(span))
        here = f"{span['process']['serviceName']}: {span['operationName']}"
        return [here] if above is None else [*path(above), here]

    paths = {" / ".join(path(span)) for span in spans}
    web = f"vibebox: {root['operationName']}"
    assert f"{web} / vibebox: UPDATE environments" in paths
    pull = f"{web} / vibebox: pull"
    assert f"{pull} / vibebox: UPDATE image_pulls" in paths
    for operation in ("pull", "create", "start"):
        assert any(
            one.startswith(f"{pull} / vibebox: docker {operation} / dockerd") for one in paths
        )
    command = f"{web} / vibebox: sessions of a start / vibebox: docker exec"
    assert f"{command} / {NAME}: work in the container" in paths
    assert any(one.startswith(f"{command} / dockerd: ") for one in paths)
    (work,) = [span for span in spans if span["operationName"] == "work in the container"]
    assert tags(work)["resource.vibebox.environment"] in tags(root)["url.path"]


def parent(span: Json) -> str:
    (reference,) = [one for one in span["references"] if one["refType"] == "CHILD_OF"]
    return str(reference["spanID"])
