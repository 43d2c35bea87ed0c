"""VibeBox: development environments in Docker containers, with observability you can trust."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask_openapi3 import OpenAPI

    from app.core.settings import Settings


def create_app(settings: "Settings | None" = None) -> "OpenAPI":
    """Return the application, wired from top to bottom; it does no I/O.

    `settings` defaults to the environment's. `Components.start` begins what runs beside the
    requests; the server calls it after fork. Raises: SettingsError.
    """
    # Imported here and not above: gunicorn's master imports the settings, and so this module,
    # before PROMETHEUS_MULTIPROC_DIR is final, which the metrics client reads when it is imported.
    from app.web.app import build
    from app.wiring import load_settings

    return build(settings or load_settings())
