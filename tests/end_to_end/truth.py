"""Compares the records of a server with Docker, from outside of both."""

from collections import Counter
from contextlib import closing
from typing import Any

import psycopg2

from tests.backends.docker_engine import DockerEngine
from tests.backends.web import WebServer

LABEL = "vibebox.environment"
EXITS = "vibebox_environment_exits_total"
REASONS = ("user", "oom", "error", "killed", "completed")
_UP = {"running": "running", "paused": "paused"}


def query(server: WebServer, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, on a connection of its own."""
    url = server.env["DATABASE_URL"].replace("+psycopg2", "")
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()


def untruths(server: WebServer, engine: DockerEngine) -> list[str]:
    """Return in words what records and containers do not agree about."""
    rows = query(server, "SELECT id, status, container_id, run_started FROM environments")
    with closing(engine.client()) as client:
        found = client.containers(all=True, filters={"label": LABEL})
        containers = {item["Id"]: client.inspect_container(item["Id"]) for item in found}
    faults = []
    for environment, status, container_id, run in rows:
        container = containers.pop(container_id, None)
        if container_id is not None and container is None:
            faults.append(f"{environment}: {status}, and its container is gone")
        docker = container["State"]["Status"] if container else "absent"
        expected = {_UP[docker]} if docker in _UP else {"stopped", "error"}
        if status not in expected:
            faults.append(f"{environment}: recorded {status}, in Docker {docker}")
        if container and docker in (*_UP, "exited") and run != container["State"]["StartedAt"]:
            faults.append(f"{environment}: recorded run {run} of {container['State']}")
    faults += [
        f"container of {item['Config']['Labels'][LABEL]} has no record"
        for item in containers.values()
    ]
    return faults


def lost_exits(server: WebServer, engine: DockerEngine) -> list[str]:
    """Return the runs that ended, as Docker shows, and have no row."""
    noted = set(query(server, "SELECT container_id, run_started FROM container_exits"))
    with closing(engine.client()) as client:
        found = client.containers(all=True, filters={"label": LABEL, "status": "exited"})
        runs = [
            (item["Id"], client.inspect_container(item["Id"])["State"]["StartedAt"])
            for item in found
        ]
    return [f"no exit of {run}" for run in runs if run not in noted]


def recorded_exits(server: WebServer) -> Counter[str]:
    """Return how many exits the database holds, by reason."""
    rows = query(server, "SELECT reason, count(*) FROM container_exits GROUP BY reason")
    return Counter(dict(rows))


def counted_exits(server: WebServer) -> Counter[str]:
    """Return how many exits the metrics show, by reason, without those that show none."""
    metrics = server.metrics()
    shown = {
        reason: int(metrics[EXITS, frozenset({"reason": reason}.items())]) for reason in REASONS
    }
    return +Counter(shown)
