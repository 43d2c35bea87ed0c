"""Subscribes telemetry to the signals of the services."""

from typing import Any

from app import signals
from app.telemetry.catalogue import auth_attempts, health_check_duration, health_check_up


def connect() -> None:
    """Count what the signals tell; calling it again changes nothing."""
    signals.authentication.connect(_authentication)
    signals.health_checked.connect(_health_checked)


def _authentication(_sender: Any, *, method: str, success: bool) -> None:
    auth_attempts.child(method, "success" if success else "failure").inc()


def _health_checked(_sender: Any, *, check: str, required: bool, up: bool, seconds: float) -> None:
    health_check_up.child(check, "true" if required else "false").set(1 if up else 0)
    health_check_duration.child(check).observe(seconds)
