"""Where signals are sent, and what they say of the service: OpenTelemetry's environment variables.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app._version import __version__
from app.core.setting_values import pairs
from app.core.settings import Settings


@dataclass(frozen=True)
class Target:
    """A receiver of OTLP over HTTP."""

    url: str
    headers: Mapping[str, str]
    timeout: float
    """Seconds for one request."""
    gzip: bool
    certificate: str | None
    """File of the certificates that the receiver's has to be of; None for those of the system."""
    own: tuple[str, str] | str | None = None
    """Files of our certificate and its key, where the receiver asks for one."""


class Signal(StrEnum):
    """What is sent; the name of each in environment variables."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


def target(settings: Settings, signal: Signal, url: str) -> Target:
    """Return how the settings have a signal sent to this address of theirs.

    What is set for the signal goes before what is set for all.
    """

    def setting(name: str) -> Any:
        own = getattr(settings, f"otel_exporter_otlp_{signal}_{name}")
        return getattr(settings, f"otel_exporter_otlp_{name}") if own is None else own

    certificate, key = setting("client_certificate"), setting("client_key")
    return Target(
        url,
        pairs(setting("headers").get_secret_value()),
        setting("timeout") / 1000,
        setting("compression") == "gzip",
        setting("certificate"),
        (certificate, key) if certificate and key else certificate,
    )


def resource(settings: Settings) -> dict[str, str]:
    """Return the attributes that all spans of this installation have in common."""
    return {
        "service.version": __version__,
        "host.name": socket.gethostname(),
        **pairs(settings.otel_resource_attributes),
        "service.name": settings.service_name,
    }
