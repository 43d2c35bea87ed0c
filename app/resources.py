"""What the web workers and the agent both open: the database and the door to Docker.

Imports happen inside: see `app.create_app`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.engine import Engine
    from app.settings import Settings
    from app.storage import Database


def open_database(settings: "Settings", limit: int) -> "Database":
    """Return the database, for at most `limit` connections; nothing is opened yet."""
    from app.storage import Database

    return Database(
        settings.database_url,
        connect_timeout=settings.db_connect_timeout,
        statement_timeout=settings.db_statement_timeout,
        pool_size=settings.db_pool_size,
        max_overflow=limit - settings.db_pool_size,
        pool_timeout=settings.db_pool_timeout,
    )


def open_engine(settings: "Settings") -> "Engine":
    """Return the door to Docker; nothing is asked of it yet."""
    from app.engine import DockerEngine

    return DockerEngine(
        settings.docker_host,
        query_timeout=settings.engine_query_timeout,
        lifecycle_timeout=settings.engine_lifecycle_timeout,
        exec_timeout=settings.engine_exec_timeout,
        pull_timeout=settings.engine_pull_timeout,
        publish_address=settings.publish_address,
    )
