"""Each preset of deploy/otlp, as the shipped exporter reads it, against its vendor's contract."""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import pytest
from dotenv import dotenv_values
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.core.otlp_receivers import SETTING, hint
from app.core.otlp_sender import Sender
from app.core.otlp_target import Signal, target
from app.core.trace_context import SpanKind, Trace
from app.exporter.plans import Cumulative, Delta
from app.exporter.pusher import Pusher
from app.exporter.start_time import StartTime
from app.tracing.records import Root, encode
from app.tracing.rings import RingWriter
from app.wiring import load_settings
from tests.backends import migrated
from tests.backends.migrated import MIGRATE
from tests.backends.otlp_vendors import CONTRACTS, CUMULATIVE, DELTA, VendorSink
from tests.backends.programs import Program, wait_until
from tests.backends.web import MEASURING, ROOT

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]
PRESETS = ROOT / "deploy" / "otlp"
PATIENCE = 20.0
SERIES = 3500
TEMPORALITIES = {"cumulative": CUMULATIVE, "delta": DELTA}
everywhere = pytest.mark.parametrize("name", CONTRACTS)


def preset(name: str, sink: VendorSink | None = None) -> dict[str, str]:
    """Return what a preset sets, with the sink's address in the place of the vendor's."""
    found = {key: value or "" for key, value in dotenv_values(PRESETS / f"{name}.env").items()}
    if sink is not None:
        for key in [key for key in found if key.endswith("_ENDPOINT")]:
            parts = urlsplit(found[key])
            found[key] = found[key].replace(f"{parts.scheme}://{parts.netloc}", sink.url, 1)
    return found


@contextmanager
def exporter(directory: Path, settings: dict[str, str]) -> Iterator[Program]:
    """Run `vibebox exporter` with a database, and a ring of large traces, of its own."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "DATABASE_URL": f"sqlite:///{directory}/vibebox.db",
        "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
        "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
        "VIBEBOX_TRACES_DIR": str(directory / "traces"),
        **MEASURING,
        **settings,
    }
    migrated.fill(MIGRATE, ROOT, env)
    program = Program(
        [sys.executable, "-m", "app.cli", "exporter"],
        directory / "log",
        env=env,
        cwd=ROOT,
        warm=True,
    )
    program.start()
    try:
        yield program
    finally:
        program.stop()


def write_traces(directory: Path) -> int:
    """Leave behind more than any vendor takes at once, and values longer than they take."""
    with closing(RingWriter(directory, 64 * 1024 * 1024)) as ring:
        for number in range(3):
            trace = Trace(f"{number + 1:032x}", None)
            for _ in range(50):
                trace.note(SpanKind.STATEMENT, perf_counter(), "select", "x" * 5000, "")
            root = Root("GET /", True, perf_counter(), {"long": "x" * 10_000}, "")
            assert ring.write(encode(trace, root, "sqlite")[0])
    return 153


@cache
def many_series() -> list[Metric]:
    """Return one family of more than a MB, which not every vendor takes in one request."""
    lines = (f'made_total{{of="{"x" * 300}-{n}"}} {n}' for n in range(SERIES))
    return list(text_string_to_metric_families("# TYPE made_total counter\n" + "\n".join(lines)))


def test_there_is_a_contract_for_each_preset_and_no_key_in_any() -> None:
    assert {path.stem for path in PRESETS.glob("*.env")} == set(CONTRACTS)
    plain = re.compile(r"#.*|[A-Z_]+=[\w:/.,=%+-]*|")  # the same for a shell, systemd and Docker
    for path in PRESETS.glob("*.env"):
        assert [line for line in path.read_text().splitlines() if not plain.fullmatch(line)] == []
    readme = (PRESETS / "README.md").read_text()
    for name, contract in CONTRACTS.items():
        found = preset(name)
        assert f"({name}.env)" in readme
        secret = [value for key, value in found.items() if key.endswith("HEADERS")]
        assert all("YOUR_" in value for value in secret)
        assert bool(secret) == bool(contract.headers)
        scheme = urlsplit(found["OTEL_EXPORTER_OTLP_ENDPOINT"]).scheme
        assert scheme == ("http" if name == "collector" else "https")


@everywhere
def test_what_the_shipped_exporter_sends_keeps_to_the_contract(name: str, tmp_path: Path) -> None:
    spans = write_traces(tmp_path / "traces")
    with VendorSink(CONTRACTS[name]) as sink:
        settings = preset(name, sink)
        with exporter(tmp_path, settings):
            wait_until(
                lambda: all_came(sink, spans) or bool(sink.refused),
                PATIENCE,
                otherwise=lambda: (tmp_path / "log").read_text()[-3000:],
            )
        assert sink.refused == []
        assert len(sink.spans) == spans
        wanted = TEMPORALITIES[settings[SETTING]]
        assert {point.temporality for point in sink.points.values()} == {0, wanted}
        is_packed = settings.get("OTEL_EXPORTER_OTLP_COMPRESSION") == "gzip"
        requests = [*sink.requests, *sink.log_requests]
        assert {one.get("content-encoding") == "gzip" for one in requests} == {is_packed}


def all_came(sink: VendorSink, spans: int) -> bool:
    """Tell whether all spans are there, and something of the other signals."""
    return len(sink.spans) >= spans and bool(sink.points) and bool(sink.records)


@pytest.mark.parametrize("name", [name for name, one in CONTRACTS.items() if one.most])
def test_many_series_are_sent_in_requests_that_are_taken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VendorSink(CONTRACTS[name]) as sink:
        assert push(preset(name, sink), tmp_path, monkeypatch) == ""
        assert sink.refused == []
        assert len(sink.points) == SERIES
        assert 300_000 < sink.largest["metrics"] <= 400_000


def push(settings: dict[str, str], directory: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Push once by these settings; return what the log is told."""
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    loaded = load_settings()
    assert loaded.metrics_endpoint is not None
    start = StartTime(directory / "start.json", 1)
    plan: Cumulative | Delta = Cumulative({}, start)
    if loaded.temporality == "delta":
        plan = Delta(directory / "pushed.json", {}, start)
    told = partial(hint, temporality=loaded.temporality)
    with closing(Sender(target(loaded, Signal.METRICS, loaded.metrics_endpoint))) as sender:
        return Pusher(many_series, sender, plan, 60, threading.Event(), told).push()


@pytest.mark.parametrize("name", [name for name, one in CONTRACTS.items() if one.refuses])
def test_a_wrong_temporality_is_refused_at_the_start(name: str, tmp_path: Path) -> None:
    """Of the preset as it is, with the vendor's own address: nothing is sent."""
    settings = preset(name)
    right = settings[SETTING]
    settings |= {SETTING: other(right)}
    settings |= dict.fromkeys(("OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER"), "none")
    with exporter(tmp_path, settings) as program:
        assert program.wait(PATIENCE) == 2
    assert f"set {SETTING}={right}" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("name", [name for name, one in CONTRACTS.items() if one.refuses])
def test_what_the_vendor_answers_names_the_setting(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the address says nothing: behind a proxy of one's own."""
    with VendorSink(replace(CONTRACTS[name], base="/proxy")) as sink:
        settings = preset(name, sink)
        right = settings[SETTING]
        settings |= {
            SETTING: other(right),
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{sink.url}/proxy/v1/metrics",
        }
        assert f"set {SETTING}={right}" in push(settings, tmp_path, monkeypatch)
        assert sink.refused


def other(temporality: str) -> str:
    return "delta" if temporality == "cumulative" else "cumulative"
