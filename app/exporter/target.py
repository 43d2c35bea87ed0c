"""Where spans are sent, and what they say of the service: OpenTelemetry's environment variables.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

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


def spans_target(settings: Settings, url: str) -> Target:
    """Return the receiver of spans that the settings name."""
    timeout = settings.otel_exporter_otlp_traces_timeout or settings.otel_exporter_otlp_timeout
    compression = (
        settings.otel_exporter_otlp_traces_compression or settings.otel_exporter_otlp_compression
    )
    return _target(settings, url, settings.otel_exporter_otlp_traces_headers, timeout, compression)


def metrics_target(settings: Settings, url: str) -> Target:
    """Return the receiver of metrics that the settings name."""
    return _target(
        settings,
        url,
        settings.otel_exporter_otlp_metrics_headers,
        settings.otel_exporter_otlp_timeout,
        settings.otel_exporter_otlp_compression,
    )


def _target(
    settings: Settings, url: str, headers: SecretStr | None, timeout: int, compression: str
) -> Target:
    own = settings.otel_exporter_otlp_client_certificate
    key = settings.otel_exporter_otlp_client_key
    return Target(
        url,
        pairs((headers or settings.otel_exporter_otlp_headers).get_secret_value()),
        timeout / 1000,
        compression == "gzip",
        settings.otel_exporter_otlp_certificate,
        (own, key) if own and key else own,
    )


def resource(settings: Settings) -> dict[str, str]:
    """Return the attributes that all spans of this installation have in common."""
    return {
        "service.version": __version__,
        "host.name": socket.gethostname(),
        "service.name": "vibebox",
        **pairs(settings.otel_resource_attributes),
        **({"service.name": name} if (name := settings.otel_service_name) else {}),
    }
