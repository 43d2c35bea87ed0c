"""Families of a database: statements, and the pool of connections."""

from typing import TYPE_CHECKING

from prefork_metrics.family import OTHER

if TYPE_CHECKING:
    from prefork_metrics.registry import Registry

STATEMENTS = ("select", "insert", "update", "delete", OTHER)
POOL_STATES = ("active", "idle", "overflow", "max")


class DatabaseFamilies:
    """Declared under the prefix of a registry."""

    def __init__(self, registry: "Registry") -> None:
        self.statement_duration = registry.histogram(
            "db_query_duration_seconds",
            "Duration of SQL statements, failed ones too.",
            {"operation": STATEMENTS, "model": (*registry.models, OTHER)},
            "each statement, except those of probes and scrapes, which come every few seconds "
            "whether or not anybody uses the service",
            buckets=(
                0.0005,
                0.001,
                0.0025,
                0.005,
                0.01,
                0.025,
                0.05,
                0.1,
                0.25,
                0.5,
                1,
                2.5,
                5,
                10,
            ),
            native=True,
        )
        self.pool_size = registry.gauge(
            "db_connection_pool_size",
            "Database connections of all live processes.",
            {"state": POOL_STATES},
            "connections opened, closed, taken from and returned to the pool; active includes "
            "overflow",
            multiprocess_mode="livesum",
        )
        self.pool_utilization = registry.gauge(
            "db_connection_pool_utilization",
            "Active connections over allowed ones in the fullest process.",
            {},
            "the same moments",
            multiprocess_mode="livemax",
        )
