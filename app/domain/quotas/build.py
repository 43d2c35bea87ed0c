"""The service of quotas and its checks, from the settings."""

from app.core.settings import Settings
from app.domain.quotas.checks import Checks, Limits
from app.domain.quotas.host import default_cpus, default_memory_mb
from app.domain.quotas.month import Month
from app.domain.quotas.service import Quotas
from app.storage import Database


def build_checks(settings: Settings) -> Checks:
    """Return the checks that changes of environments, teams and accounts ask."""
    host = Limits(
        settings.host_environments,
        default_cpus() if settings.host_cpus is None else settings.host_cpus,
        default_memory_mb() if settings.host_memory_mb is None else settings.host_memory_mb,
    )
    return Checks(
        Limits(settings.quota_environments, settings.quota_cpus, settings.quota_memory_mb),
        host,
        teams=settings.quota_teams,
        accounts=settings.host_accounts,
        month=Month(settings.quota_cpu_hours, settings.quota_memory_gib_hours),
    )


def build(settings: Settings, database: Database) -> Quotas:
    """Return the service of quotas."""
    return Quotas(database, build_checks(settings))
