"""What PostgreSQL and Docker Engine themselves say they were asked, from their logs.

Agent and workers ask in the background too, so no step can say how often. Their logs can.
"""

import re
from collections import Counter
from contextlib import closing
from pathlib import Path

import psycopg2
from requests import Response

from app.storage import Base
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.end_to_end.families.moves import STATEMENTS, Moves, series

_ENTRY = re.compile(r"(?m)^\S+ \S+ \S+ \[\d+\] ")
_STATEMENT = "LOG:  statement: "
# What driver and dialect say for themselves, probes, and what a scrape reads: no work of anybody.
_UNMEASURED = re.compile(
    r"BEGIN|COMMIT|ROLLBACK|SHOW |SET default_transaction_|SELECT 1$"
    r"|SET LOCAL work_mem"
    r"|select (?:pg_catalog\.)?version|select current_schema"
    r"|SELECT (?:its\.)?version_num|SELECT EXTRACT\(EPOCH FROM expires_at"
    r"|SELECT leases\.expires_at > "
    r"|SELECT agent_reports\.name, agent_reports\.value, agent_reports\.at, "
    r"|SELECT environments\.status, count\(|SELECT count\(\*\) AS registered"
    r"|SELECT sessions\.type, sessions\.status, count\(|SELECT alert_heartbeats\.beat_at, "
    r"|SELECT sum\(business_totals\.|SELECT business_totals\.way, |SELECT business_days\.\w+, ",
    re.IGNORECASE,
)
_CALLS = {
    "inspect": re.compile(r"Calling GET /v[\d.]+/(?:containers/[^/? ]+|images/[^? ]+)/json"),
    "logs": re.compile(r"Calling GET /v[\d.]+/containers/[^/? ]+/logs\?\S*tail=all"),
}
_NAMED = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+(\w+)", re.IGNORECASE)


class _Grown:
    """A log from where it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size

    def read(self) -> str:
        """Return what was written since the last time."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            found = log.read()
        # An entry that is being written is read when it is whole.
        found = found[: found.rfind(b"\n") + 1]
        self._at += len(found)
        return found.decode(errors="replace")


class Statements:
    """The statements that one database was asked, under the labels of their family."""

    def __init__(self, postgresql: PostgreSQL, url: str) -> None:
        """Have the server log what it is asked from its next connections on."""
        name = url.rpartition("/")[2]
        with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
        self._log = _Grown(postgresql.log)
        self._rest = ""
        self._found: Moves = Counter()

    def counted(self) -> Moves:
        """Return what has been asked so far."""
        *whole, self._rest = _ENTRY.split(self._rest + self._log.read())
        self._found.update(_labelled(whole))
        return self._found + _labelled([self._rest])


def _labelled(entries: list[str]) -> Moves:
    found: Moves = Counter()
    for entry in entries:
        _, known, statement = entry.partition(_STATEMENT)
        statement = statement.strip()
        if known and not _UNMEASURED.match(statement):
            verb = statement.partition(" ")[0].lower()
            table = _NAMED.search(statement)
            model = table[1] if table and table[1] in Base.metadata.tables else "other"
            operation = verb if verb in ("select", "insert", "update", "delete") else "other"
            found[series(STATEMENTS, model=model, operation=operation)] += 1
    return found


class Calls:
    """How often Docker Engine was asked by somebody else to inspect, and for a whole log."""

    def __init__(self, engine: DockerEngine) -> None:
        self._log = _Grown(engine.log)
        self._asked: Counter[str] = Counter()

    def of_the_test(self, response: Response, *_: object, **__: object) -> None:
        """Leave out what the test itself asks: a hook of its client."""
        if _CALLS["inspect"].match(f"Calling GET {response.request.path_url}"):
            self._asked["inspect"] -= 1

    def counted(self) -> Counter[str]:
        """Return how often so far, by operation."""
        text = self._log.read()
        for operation, pattern in _CALLS.items():
            self._asked[operation] += len(pattern.findall(text))
        return self._asked.copy()
