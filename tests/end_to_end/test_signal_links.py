"""Every link that Grafana would follow into traces, log lines and numbers finds what it is for.

From its own template, with the values of a real service's exemplars, spans, lines and series, asked
from the real Jaeger, VictoriaLogs (in Loki's place) and Prometheus.
"""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from math import isnan
from typing import Any

import pytest
import requests

from app.core.log_receiver import ShippedLine
from app.domain.accounts.operators import set_operator
from app.exporter.container_logs import request
from app.storage import Database
from tests.backends.jaeger import Jaeger, tags
from tests.backends.prometheus import Prometheus
from tests.backends.victoria_logs import VictoriaLogs
from tests.backends.web import WebServer
from tests.conftest import require, shared
from tests.end_to_end.api import Api
from tests.end_to_end.follower import RATE, Follower, as_loki
from tests.monitoring.boards.promql import substituted
from tests.monitoring.signals.links import Link, Sort, of_boards, of_sources, sources
from tests.monitoring.signals.lint_links import is_ours

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(240)]

Json = dict[str, Any]
PATIENCE = 60.0
ROUNDS = 6
UNTRACED = ("ping",)
"""Calls of Docker that no request is behind."""
GRAFANA = {"job": ".+", "instance": ".+", "__rate_interval": RATE, "__range": RATE}


@dataclass
class Scene:
    """A service that was asked some things, and the stores that know of them."""

    server: WebServer
    jaeger: Jaeger
    logs: VictoriaLogs
    prometheus: Prometheus
    service: str
    environment: str
    follower: Follower

    def lines(self, condition: str) -> list[Json]:
        """Return log lines of the service, with the names that Loki gives their fields."""
        asked = f'"service.name":="{self.service}" {condition}'
        return [as_loki(row) for row in self.logs.query(asked)]


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, jaeger: Jaeger, victoria_logs: VictoriaLogs
) -> Iterator[Scene]:
    require("Prometheus", Prometheus.installed())
    service, since = f"links {uuid.uuid4().hex[:8]}", time.time()
    env = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{jaeger.otlp}/v1/traces",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": victoria_logs.otlp_url,
        "OTEL_SERVICE_NAME": service,
        "VIBEBOX_TRACES_RATIO": "1",
        "VIBEBOX_LOG_STORE_URL": victoria_logs.url,
        "VIBEBOX_LOG_STORE_KIND": "victorialogs",
    }
    with WebServer(tmp_path_factory.mktemp("links"), env) as server, shared(server):
        target, flags = f"127.0.0.1:{server.port}", ["--enable-feature=exemplar-storage"]
        prometheus = Prometheus([target], scrape_interval="500ms", flags=flags)
        with closing(prometheus):
            prometheus.wait_for("up == 1", timeout=PATIENCE)
            environment = ask_for_everything(server)
            wait_for_everything(prometheus, jaeger, service)
            wait_for_lines(victoria_logs, service)
            write_as_a_container(victoria_logs, service, environment)
            follower = Follower(jaeger, victoria_logs, prometheus, service, since)
            yield Scene(server, jaeger, victoria_logs, prometheus, service, environment, follower)


def ask_for_everything(server: WebServer) -> str:
    """Have requests of every kind over some scrapes; return an environment that some were about.

    There is no Docker Engine: a start fails, as does its call.
    """
    with Api(server.url) as api:
        api.sign_up()
        environment = api.create("one", "any/image:1")
        for _ in range(ROUNDS):
            assert api.call("GET", "/environments").status_code == 200
            assert api.call("GET", f"/environments/{environment}").status_code == 200
            assert api.call("GET", "/environments/nowhere").status_code == 404
            assert api.act(environment, "start").status_code == 503
            time.sleep(0.3)  # so that a scrape comes between two of them
    return environment


def wait_for_everything(prometheus: Prometheus, jaeger: Jaeger, service: str) -> None:
    """Wait until the failures have been scraped, and their traces are there."""
    failed = f'rate(vibebox_http_requests_total{{status_code="503"}}[{RATE}]) > 0'
    prometheus.wait_for(failed, timeout=PATIENCE)
    asked = {"http.response.status_code": "503"}
    jaeger.wait_for(lambda it: len(it.search(service, asked)) == ROUNDS, PATIENCE)


def wait_for_lines(logs: VictoriaLogs, service: str) -> None:
    """Wait until the log store has the lines of the failures."""
    asked = f'"service.name":="{service}" _msg:=request status:=503'
    logs.wait_for(asked, lambda rows: len(rows) == ROUNDS, PATIENCE)


def write_as_a_container(logs: VictoriaLogs, service: str, environment: str) -> None:
    """Have the log store take a line of a container, as the agent sends it."""
    line = ShippedLine("c" * 64, environment, None, "stdout", time.time_ns(), 7, "hello")
    body = request([line], {"service.name": f"{service}-environment"})
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Content-Type": "application/x-protobuf"}
        session.post(logs.otlp_url, body, headers=headers, timeout=30).raise_for_status()


def of_sort(*sorts: Sort) -> list[Link]:
    """Return the links of these sorts."""
    return [
        link
        for link in (*of_sources(sources()), *of_boards())
        # Other boards, and the runbook of an alert, are no queries.
        if link.sort in sorts and not link.template.startswith(("/d/", "/api/datasources/proxy/"))
    ]


@pytest.mark.parametrize("family", ["http_request", "db_query", "docker_operation"])
def test_an_exemplar_leads_to_its_trace(scene: Scene, family: str) -> None:
    (link,) = of_sort("exemplar")
    name = link.source["name"]
    series = scene.prometheus.exemplars(f"vibebox_{family}_duration_seconds_bucket")
    ids = {one["labels"].get(name) for each in series for one in each["exemplars"]}
    assert ids
    for id in ids:
        spans = scene.follower.follow_with(link, {"__value.raw": str(id)})
        assert {span["traceID"] for span in spans} == {id}


def test_a_line_leads_to_its_trace_its_request_and_its_environment(scene: Scene) -> None:
    (line, *_) = scene.lines(f'environment_id:="{scene.environment}" status:=503')
    found = {}
    for link in of_sort("line"):
        # As Grafana looks for it: by a pattern among the names of labels.
        pattern = link.source["matcherRegex"]
        (label,) = (one for one in line if re.search(pattern, one))
        found[label] = scene.follower.follow_with(link, {"__value.raw": line[label]})
    assert set(found) == {"trace_id", "request_id", "environment_id"}
    (root, *_) = found["trace_id"]
    assert tags(root)["vibebox.request_id"] == line["request_id"]
    assert tags(root)["vibebox.environment.id"] == scene.environment
    assert line in found["request_id"]
    assert {one["request_id"] for one in found["request_id"]} == {line["request_id"]}
    assert line in found["environment_id"]
    assert {one["environment_id"] for one in found["environment_id"]} == {scene.environment}
    (written,) = (one for one in found["environment_id"] if "request_id" not in one)
    assert written["_msg"] == "hello", "and what its container wrote"


def trace_of_a_failure(scene: Scene) -> list[Json]:
    """Return the spans of a start that failed."""
    (spans, *_) = scene.jaeger.search(scene.service, {"http.response.status_code": "503"})
    return spans


def test_each_span_leads_to_the_lines_of_its_request(scene: Scene) -> None:
    (link,) = of_sort("span to lines")
    for span in trace_of_a_failure(scene):
        own = {"__span.traceId": span["traceID"], "__span.spanId": span["spanID"]}
        lines = scene.follower.follow_with(link, {**own, "__trace.traceId": span["traceID"]})
        assert [one["status"] for one in lines if one["_msg"] == "request"] == ["503"]


def test_a_span_leads_to_the_numbers_of_its_route(scene: Scene) -> None:
    (root, *children) = trace_of_a_failure(scene)
    for link in of_sort("span to numbers"):
        labels = [
            f'{tag["value"]}="{tags(root)[tag["key"]]}"'
            for tag in link.source["tags"]
            if tag["key"] in tags(root)
        ]
        assert len(labels) == len(link.source["tags"]), "a request has all that is asked for"
        shown = scene.follower.follow_with(link, {"__tags": ", ".join(labels)})
        assert "503" in {one.get("status_code", "503") for one in shown}
        # Of a statement nothing is known that the numbers know: all of them are shown.
        assert children
        assert scene.follower.follow_with(link, {"__tags": ""})


def test_every_panel_leads_to_what_it_shows(scene: Scene) -> None:
    """Those of a Prometheus alone too, whose queries it answers."""
    links = of_sort("panel")
    assert len(links) > 50
    lost = []
    for link in links:
        found = scene.follower.follow(link)
        services = {one.get("service_name") or service_of(one) for one in found if is_ours(link)}
        if services != ({scene.service} if is_ours(link) else set()):
            lost.append((link.where, services))
    assert lost == []


def service_of(trace: Json) -> str:
    """Return the service of a trace's first span."""
    return str(trace["spans"][0]["process"]["serviceName"])


def series_of(scene: Scene, link: Link) -> list[dict[str, str]]:
    """Return the labels of the series, or rows, that have the link and show something."""
    (target,) = (one for one in link.source["targets"] if one["refId"] == "A")
    series = scene.prometheus.query(substituted(target["expr"], **GRAFANA))
    return [
        labels
        for labels, value in series
        if value and not isnan(value) and labels.get("operation") not in UNTRACED
    ]


def test_every_series_leads_to_what_it_counts(scene: Scene) -> None:
    lost = []
    for link in of_sort("series", "row"):
        prefix = "__field.labels" if link.sort == "series" else "__data.fields"
        drawn = series_of(scene, link)
        lost += [(link.where, "nothing is drawn")] * (not drawn)
        for labels in drawn:
            values = {f"{prefix}.{name}": value for name, value in labels.items()}
            if not scene.follower.follow_with(link, values):
                lost.append((link.where, str(labels)))
    assert lost == []


def test_what_is_not_there_is_not_found(scene: Scene) -> None:
    """So the others do find something."""
    names = "__field.labels.{0} __data.fields.{0}".format
    labels = ("route", "method", "status_code", "operation")
    values = {path: "7" for name in labels for path in names(name).split()}
    nobody = {path: uuid.uuid4().hex for path in ("__value.raw", "__trace.traceId")}
    for link in of_sort("exemplar", "line", "span to lines", "series", "row"):
        assert scene.follower.follow_with(link, {**values, **nobody}) == [], link.where


def test_an_operator_reads_the_lines_of_a_request_from_the_service(scene: Scene) -> None:
    """By its id and by that of its trace: what the store has of the service itself."""
    (failed, *_) = scene.lines("_msg:=request status:=503")
    with Api(scene.server.url) as api:
        email = f"{uuid.uuid4().hex[:12]}@example.org"
        assert api.register(email).status_code == 201
        database = Database(scene.server.env["DATABASE_URL"])
        set_operator(database, email, operator=True)
        database.dispose()
        assert api.login(email).ok
        for id in (failed["request_id"], failed["trace_id"]):
            answer = api.call("GET", f"/requests/{id}/lines")
            assert answer.status_code == 200, answer.text
            (line,) = [one for one in answer.json()["items"] if one["event"] == "request"]
            assert (line["level"], line["fields"]["status"]) == ("info", "503")
            assert line["fields"]["path"].endswith("/start")
        assert api.call("GET", "/requests/of-nobody/lines").status_code == 404
