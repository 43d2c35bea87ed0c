"""The three lines that say where things are."""

from app.core.logging import redact
from app.core.settings import Settings


def lines(address: str, settings: Settings) -> list[str]:
    """Return the lines for a service that listens on `address`."""
    base = address.removeprefix("unix:") if address.startswith("unix:") else address
    docker = settings.docker_host + ("" if settings.docker_required else " (not required)")
    return [
        f"VibeBox   {base}  —  API at {base}/openapi/swagger",
        f"Health    {base}/health/ready  —  metrics at {base}/health/metrics",
        f"Database  {redact(settings.database_url)}  —  Docker {docker}",
    ]
