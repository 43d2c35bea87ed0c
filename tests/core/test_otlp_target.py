"""Whose setting counts for a signal: its own, or the one for all."""

from pathlib import Path

import pytest

from app.core.errors import SettingsError
from app.core.otlp_target import Signal, resource, target
from app.wiring import load_settings, start_exporter

BASE = "OTEL_EXPORTER_OTLP"
URL = "https://receiver.example/v1/x"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("ca", "own-ca", "cert", "key", "own-cert", "own-key"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_what_is_set_for_a_signal_goes_before_what_is_set_for_all(
    monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    for name, common, own in (
        ("HEADERS", "a=1", "b=2"),
        ("TIMEOUT", "2000", "3000"),
        ("COMPRESSION", "gzip", "none"),
        ("CERTIFICATE", str(files / "ca"), str(files / "own-ca")),
        ("CLIENT_CERTIFICATE", str(files / "cert"), str(files / "own-cert")),
        ("CLIENT_KEY", str(files / "key"), str(files / "own-key")),
    ):
        monkeypatch.setenv(f"{BASE}_{name}", common)
        monkeypatch.setenv(f"{BASE}_METRICS_{name}", own)
    settings = load_settings()

    traces = target(settings, Signal.TRACES, URL)
    assert (traces.headers, traces.timeout, traces.gzip) == ({"a": "1"}, 2, True)
    assert (traces.certificate, traces.own) == (
        str(files / "ca"),
        (str(files / "cert"), str(files / "key")),
    )
    metrics = target(settings, Signal.METRICS, URL)
    assert (metrics.headers, metrics.timeout, metrics.gzip) == ({"b": "2"}, 3, False)
    assert (metrics.certificate, metrics.own) == (
        str(files / "own-ca"),
        (str(files / "own-cert"), str(files / "own-key")),
    )


def test_an_empty_value_of_a_signal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{BASE}_COMPRESSION", "GZIP")
    monkeypatch.setenv(f"{BASE}_TRACES_COMPRESSION", "")
    assert target(load_settings(), Signal.TRACES, URL).gzip


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "vibebox"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours"}, "ours"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours", "OTEL_SERVICE_NAME": "mine"}, "mine"),
    ],
)
def test_stores_are_asked_for_the_name_that_is_sent(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert resource(load_settings())["service.name"] == load_settings().service_name == name


def test_a_query_of_the_endpoint_stays_behind_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{BASE}_ENDPOINT", "https://receiver.example/otlp/?site=a")
    assert load_settings().traces_endpoint == "https://receiver.example/otlp/v1/traces?site=a"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PROTOCOL", "grpc", "must be http/protobuf, the only one that is spoken"),
        ("TRACES_PROTOCOL", "http/json", "must be http/protobuf, the only one that is spoken"),
        ("LOGS_PROTOCOL", "grpc", "port 4318 as a rule (got 'grpc')"),
        ("METRICS_COMPRESSION", "zstd", "must be none or gzip (got 'zstd')"),
        ("TRACES_TIMEOUT", "0", "at least 1"),
        ("METRICS_CERTIFICATE", "/nowhere/ca.pem", "names no file that can be read"),
        ("METRICS_TEMPORALITY_PREFERENCE", "lowmemory", "must be cumulative or delta"),
    ],
)
def test_what_cannot_be_done_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"{BASE}_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (told,) = caught.value.mistakes
    assert told.startswith(f"{BASE}_{name}: ")
    assert words in told


def test_a_temporality_that_the_receiver_refuses_stops_the_metrics_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(f"{BASE}_ENDPOINT", "https://otlp.datadoghq.com")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    settings = load_settings()
    assert settings.metrics_endpoint is None
    assert settings.traces_endpoint == "https://otlp.datadoghq.com/v1/traces"

    for signal in ("TRACES", "LOGS"):
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")
    assert start_exporter(load_settings()) is None
    (line,) = [record for record in caplog.records if record.name == "app.wiring"]
    assert (line.levelname, line.getMessage()) == ("ERROR", "metrics are not pushed")
    wanted = f"set {BASE}_METRICS_TEMPORALITY_PREFERENCE=delta"
    assert line.__dict__["why"] == f"Datadog takes no cumulative metrics: {wanted}"

    monkeypatch.setenv(f"{BASE}_METRICS_TEMPORALITY_PREFERENCE", "Delta")
    assert load_settings().metrics_endpoint == "https://otlp.datadoghq.com/v1/metrics"
