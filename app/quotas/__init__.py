"""Quotas: how many environments, CPUs and MiB an account or a team may have."""

from app.quotas.checks import Checks, Limits
from app.quotas.routes import api
from app.quotas.service import Quotas
from app.settings import Settings
from app.storage import Database

__all__ = ["Checks", "api", "build", "build_checks"]


def build_checks(settings: Settings) -> Checks:
    """Return the checks that changes of environments ask."""
    return Checks(
        Limits(settings.quota_environments, settings.quota_cpus, settings.quota_memory_mb)
    )


def build(settings: Settings, database: Database) -> Quotas:
    """Return the service of quotas."""
    return Quotas(database, build_checks(settings))
