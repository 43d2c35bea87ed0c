"""Who takes which temporality is known from the address, as far as it is known at all."""

import pytest

from app.core.otlp_receivers import doubt, hint, refusal

SET = "set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="


@pytest.mark.parametrize(
    ("url", "temporality", "name"),
    [
        ("https://otlp.datadoghq.com/v1/metrics", "cumulative", "Datadog"),
        ("https://otlp.us5.datadoghq.com/v1/metrics", "cumulative", "Datadog"),
        ("https://OTLP.datadoghq.eu./v1/metrics", "cumulative", "Datadog"),
        ("https://abc.live.dynatrace.com/api/v2/otlp/v1/metrics", "cumulative", "Dynatrace"),
        ("https://gate.corp:9999/e/abc/api/v2/otlp/v1/metrics", "cumulative", "Dynatrace"),
        ("https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/metrics", "delta", "Grafana"),
    ],
)
def test_refused(url: str, temporality: str, name: str) -> None:
    other = {"cumulative": "delta", "delta": "cumulative"}[temporality]
    told = refusal(url, temporality)
    assert told is not None
    assert told.startswith(f"{name}")
    assert told.endswith(f"{SET}{other}")
    assert refusal(url, other) is None
    assert doubt(url, temporality) is None


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize(
    "url",
    [
        "https://otlp.nr-data.net/v1/metrics",
        "http://collector:4318/v1/metrics",
        "https://notdatadoghq.com/v1/metrics",
        "https://otlp.datadoghq.com.example/v1/metrics",
    ],
)
def test_taken(url: str, temporality: str) -> None:
    assert (refusal(url, temporality), doubt(url, temporality)) == (None, None)


@pytest.mark.parametrize(
    ("url", "temporality", "name"),
    [
        ("http://prometheus:9090/api/v1/otlp/v1/metrics", "delta", "Prometheus"),
        ("http://victoria:8428/opentelemetry/v1/metrics", "delta", "VictoriaMetrics"),
        ("https://x.ingest.eu-central-1.aws.elastic.cloud/v1/metrics", "cumulative", "Elastic"),
    ],
)
def test_who_may_take_both_is_warned_of(url: str, temporality: str, name: str) -> None:
    other = {"cumulative": "delta", "delta": "cumulative"}[temporality]
    assert refusal(url, temporality) is None
    told = doubt(url, temporality)
    assert told is not None
    assert told.startswith(f"{name} takes no {temporality} metrics: {SET}{other}, unless")
    assert doubt(url, other) is None


def test_hint_is_for_words_about_temporality() -> None:
    assert hint("UNSUPPORTED_METRIC_TYPE_MONOTONIC_CUMULATIVE_SUM", "cumulative") == (
        f"; if it takes no cumulative metrics, {SET}delta"
    )
    assert hint("invalid temporality and type combination", "delta").endswith(f"{SET}cumulative")
    assert hint("wrong key", "delta") == ""
