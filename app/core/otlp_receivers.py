"""What receivers are known to refuse: metrics of one temporality.

OTLP has no way to ask. Some receivers answer an error, some take the request and leave the points
out; so those that are known by their address are told from it, at the start. The presets in
deploy/otlp are for the same receivers.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

SETTING = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_OTHER = {"cumulative": "delta", "delta": "cumulative"}
_OF_TEMPORALITY = re.compile("temporality|cumulative|delta", re.IGNORECASE)


class Receiver(NamedTuple):
    """A receiver that takes one temporality: known by its host, or else by the path."""

    name: str
    takes: str
    hosts: tuple[str, ...] = ()
    """What the name of the host ends with."""
    path: str = ""
    """What the path has in it, for those that anybody may run."""
    unless: str = ""
    """What would make it take the other one too: then it is only warned of."""


RECEIVERS = (
    Receiver("Datadog", "delta", (".datadoghq.com", ".datadoghq.eu", ".ddog-gov.com")),
    Receiver("Dynatrace", "delta", (".dynatrace.com", ".dynatracelabs.com"), "/api/v2/otlp/"),
    Receiver("Grafana Cloud", "cumulative", (".grafana.net",)),
    Receiver(
        "Prometheus",
        "cumulative",
        path="/api/v1/otlp/",
        unless="it has one of the features otlp-deltatocumulative and otlp-native-delta-ingestion",
    ),
    Receiver(
        "VictoriaMetrics",
        "cumulative",
        path="/opentelemetry/",
        unless="that is the address of another receiver: it stores deltas as if they were totals",
    ),
    Receiver(
        "Elastic",
        "delta",
        (".elastic.cloud", ".elastic-cloud.com"),
        unless="its release is 9.5.3 or later: before, histograms of totals are dropped silently",
    ),
)


def refusal(url: str, temporality: str) -> str | None:
    """Return in a sentence why the receiver takes no such metrics; None where it may."""
    found = _known(url, temporality)
    return None if found is None or found.unless else _sentence(found, temporality)


def doubt(url: str, temporality: str) -> str | None:
    """Return in a sentence when the receiver takes no such metrics; None where nothing is known."""
    found = _known(url, temporality)
    if found is None or not found.unless:
        return None
    return f"{_sentence(found, temporality)}, unless {found.unless}"


def hint(answer: str, temporality: str) -> str:
    """Return what to set, where a receiver's own words are about temporality; else nothing."""
    if not _OF_TEMPORALITY.search(answer):
        return ""
    return f"; if it takes no {temporality} metrics, set {SETTING}={_OTHER[temporality]}"


def _known(url: str, temporality: str) -> Receiver | None:
    parts = urlsplit(url)
    host = f".{(parts.hostname or '').lower().rstrip('.')}"
    for receiver in RECEIVERS:
        by_path = receiver.path and receiver.path in parts.path
        if by_path or host.endswith(receiver.hosts):
            return receiver if receiver.takes != temporality else None
    return None


def _sentence(receiver: Receiver, temporality: str) -> str:
    return f"{receiver.name} takes no {temporality} metrics: set {SETTING}={_OTHER[temporality]}"
