"""The variables by which OpenTelemetry's SDKs in an environment find their receiver."""

from collections.abc import Mapping
from urllib.parse import quote

from app.domain.user_telemetry.tokens import TelemetryTokens
from app.storage import Environment

PATH = "/telemetry"
_OTLP = "OTEL_EXPORTER_OTLP_"


class Presets:
    """Makes them; `address` is where containers reach this service."""

    def __init__(self, address: str, tokens: TelemetryTokens) -> None:
        self._endpoint = f"{address.rstrip('/')}{PATH}"
        self._tokens = tokens

    def of(self, environment: Environment, own: Mapping[str, str]) -> dict[str, str]:
        """Return them, but for what the user has set (`own`).

        Whoever names a receiver of their own gets nothing that is for ours.
        """
        attributes = {
            "vibebox.environment": environment.id,
            "vibebox.project": environment.project_id,
        }
        found = {
            "OTEL_SERVICE_NAME": environment.name,
            "OTEL_RESOURCE_ATTRIBUTES": ",".join(
                f"{name}={quote(value, safe='')}" for name, value in attributes.items()
            ),
        }
        if not any(name.startswith(_OTLP) and name.endswith("ENDPOINT") for name in own):
            token = quote(f"Bearer {self._tokens.token(environment.id)}", safe="")
            found[f"{_OTLP}ENDPOINT"] = self._endpoint
            found[f"{_OTLP}PROTOCOL"] = "http/protobuf"
            found[f"{_OTLP}HEADERS"] = f"authorization={token}"
        return {name: value for name, value in found.items() if name not in own}
