"""Configurations of deploy/logs: lines reach the real store, and make the streams that are said."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from app.core.log_receiver import Outcome, ShippedLine
from app.exporter.container_logs import OtlpReceiver, receivers, request
from app.wiring import load_settings
from tests.backends.collector import Collector
from tests.backends.jaeger import Jaeger
from tests.backends.programs import free_port
from tests.backends.victoria_logs import VictoriaLogs
from tests.conftest import require, shared

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "deploy" / "logs"
STORE = "YOUR_VICTORIA_LOGS:9428"
FEW = ("service.name", "log.iostream", "vibebox.team")


def lines(name: str) -> list[ShippedLine]:
    return [
        ShippedLine("container", name, team, stream, 1_735_689_600_000_000_000 + seq, seq, "a line")
        for seq, (team, stream) in enumerate([("blue", "stdout"), (None, "stderr")], 1)
    ]


def receiver(monkeypatch: pytest.MonkeyPatch, name: str, **changed: str) -> OtlpReceiver:
    """Return the receiver that the preset of VictoriaLogs makes, but for what is `changed`."""
    for key, value in dotenv_values(LOGS / "victoria-logs.env").items():
        monkeypatch.setenv(key, changed.get(key, value or ""))
    monkeypatch.setenv("VIBEBOX_CONTAINER_LOGS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_SERVICE_NAME", name)
    settings = load_settings()
    assert settings.container_logs_endpoint is not None
    return receivers(settings, settings.container_logs_endpoint)(threading.Event())


def arrived(store: VictoriaLogs, name: str) -> set[str]:
    """Return the streams of the lines, once both are there."""
    mine = f"environment_id:={name}"
    store.wait_for(mine, lambda rows: sorted(row["seq"] for row in rows) == ["1", "2"])
    return set(store.streams(mine))


def streams(name: str) -> set[str]:
    said = f'service.name="{name}-environment"'
    return {
        f'{{log.iostream="stdout",{said},vibebox.team="blue"}}',
        f'{{log.iostream="stderr",{said}}}',
    }


@pytest.mark.integration
def test_lines_go_straight_to_victoria_logs(
    victoria_logs: VictoriaLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = dotenv_values(LOGS / "victoria-logs.env")["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] or ""
    url = preset.replace(STORE, f"127.0.0.1:{victoria_logs.port}")
    assert url != preset
    ours = receiver(monkeypatch, "straight", OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=url)
    assert ours.send(lines("straight")).outcome is Outcome.TAKEN
    ours.close()
    assert arrived(victoria_logs, "straight") == streams("straight")


@pytest.fixture
def collector(victoria_logs: VictoriaLogs) -> Iterator[str]:
    require("Jaeger", Jaeger.installed())
    port = free_port()
    places = {"0.0.0.0:4318": f"127.0.0.1:{port}", STORE: f"127.0.0.1:{victoria_logs.port}"}
    url = f"http://127.0.0.1:{port}/v1/logs"
    with shared(Collector(LOGS / "collector.yaml", places, url)):
        yield url


@pytest.mark.integration
def test_a_collector_takes_what_the_store_has_taken(
    victoria_logs: VictoriaLogs, collector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = receiver(
        monkeypatch,
        "collected",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=collector,
        OTEL_EXPORTER_OTLP_LOGS_HEADERS="",
    )
    victoria_logs.stop()
    away = ours.send(lines("collected"))
    # Whether the store had taken them the collector does not say.
    assert (away.outcome, away.in_doubt) == (Outcome.RETRY, True)
    victoria_logs.start()
    assert ours.send(lines("collected")).outcome is Outcome.TAKEN
    ours.close()
    assert arrived(victoria_logs, "collected") == streams("collected")


def test_loki_makes_labels_of_what_all_lines_have_in_common() -> None:
    shipped: list[Any] = [
        yaml.safe_load(path.read_text())["limits_config"]
        for path in (LOGS / "loki.yaml", ROOT / "monitoring" / "signals" / "loki.yaml")
    ]
    for limits in shipped:
        assert limits["allow_structured_metadata"] is True
        named = limits["otlp_config"]["resource_attributes"]
        assert named["ignore_defaults"] is True
        (labels,) = named["attributes_config"]
        assert (labels["action"], tuple(labels["attributes"])) == ("index_label", FEW)
    body = request(lines("any"), {"service.name": "vibebox-environment"})
    said = {
        attribute.key
        for of_stream in ExportLogsServiceRequest.FromString(body).resource_logs
        for attribute in of_stream.resource.attributes
    }
    assert said == set(FEW)
