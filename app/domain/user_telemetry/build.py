"""What users' telemetry needs, from the settings."""

from urllib.parse import urlsplit

from app.core.settings import Settings
from app.domain.user_telemetry.presets import Presets
from app.domain.user_telemetry.tokens import TelemetryTokens

_ENDPOINT = "VIBEBOX_USER_OTLP_ENDPOINT"
_LOCAL = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}
_PORTS = {"http": 80, "https": 443}


def mistakes(settings: Settings) -> list[str]:
    """Return what is wrong with the settings together, a sentence each."""
    if settings.user_otlp_endpoint is None:
        return []
    found = []
    if settings.user_otlp_address is None:
        found.append(f"VIBEBOX_USER_OTLP_ADDRESS: has to be set beside {_ENDPOINT}")
    if settings.secret_keys is None:
        found.append(
            f"VIBEBOX_SECRET_KEYS: has to be set beside {_ENDPOINT}: `vibebox secrets new-key`"
        )
    ours = (
        settings.otel_exporter_otlp_endpoint,
        settings.otel_exporter_otlp_traces_endpoint,
        settings.otel_exporter_otlp_metrics_endpoint,
        settings.otel_exporter_otlp_logs_endpoint,
    )
    if _receiver(settings.user_otlp_endpoint) in {_receiver(url) for url in ours if url}:
        # A program of a user can tell anything of itself, and so of the service too.
        found.append(
            f"{_ENDPOINT}: is the receiver of the service's own signals; name another host or port"
        )
    stores = {
        "VIBEBOX_TRACE_STORE_URL": settings.trace_store_url,
        "VIBEBOX_LOG_STORE_URL": settings.log_store_url,
        "VIBEBOX_PROMETHEUS_URL": settings.prometheus_url,
    }
    # Explanations are read there, and what a program of a user wrote would be read with the rest.
    found += [
        f"{_ENDPOINT}: is the store of {name}; name another host or port"
        for name, url in stores.items()
        if url and _receiver(settings.user_otlp_endpoint) == _receiver(url)
    ]
    return found


def _receiver(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    return _LOCAL.get(host, host), parts.port or _PORTS.get(parts.scheme, 0)


def build_tokens(settings: Settings) -> TelemetryTokens | None:
    """Return what makes and knows tokens; None where users' telemetry is off."""
    if settings.user_otlp_endpoint is None or settings.secret_keys is None:
        return None
    return TelemetryTokens(settings.secret_keys.get_secret_value())


def build_presets(settings: Settings) -> Presets | None:
    """Return what environments are given; None where users' telemetry is off."""
    tokens = build_tokens(settings)
    if tokens is None or settings.user_otlp_address is None:
        return None
    return Presets(settings.user_otlp_address, tokens)
