"""The service as a whole, quiet enough that each series can be accounted for."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import requests

from app.domain.secrets.values import new_key
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import ServiceError, wait_until
from tests.backends.registry import Registry
from tests.backends.web import WebServer
from tests.end_to_end.api import Api
from tests.end_to_end.counters import scrape_text
from tests.end_to_end.families.asked import Calls, Statements
from tests.end_to_end.families.moves import (
    DOCKER,
    STATEMENTS,
    Moves,
    answered,
    difference,
    docker,
    moves,
    read,
    series,
)
from tests.support.routes import ROUTES

WORKERS = 4
PATIENCE = 20.0
# Nothing runs of its own accord in the time of the test but what PostgreSQL's log tells of.
_QUIET = {
    "VIBEBOX_HEALTH_CHECK_INTERVAL": "3600",
    "VIBEBOX_AGENT_SWEEP_INTERVAL": "3600",
    # Asked at the first look of an agent, whichever step that is in.
    "VIBEBOX_USAGE_DISK_INTERVAL": "0",
}
_STARTS = 3
ALERTS_TOKEN = "told-by-alertmanager"
_SETTINGS = {
    "VIBEBOX_STOP_GRACE": "0",
    "VIBEBOX_ALERTS_TOKEN": ALERTS_TOKEN,
    "VIBEBOX_USAGE_PRICES": "cpu_hour=0.04,memory_gib_hour=0.005",
}
_RULES = [(route, re.compile(re.sub("<.*?>", "[^/]+", route.rule))) for route in ROUTES]


@dataclass(frozen=True)
class Step:
    """What is done, and what it moves besides its requests and their statements.

    `looks`: the agent looks at containers and their logs meanwhile. How often depends on how events
    fall together, and on when Docker says that a run has ended: so each inspection must be one that
    Docker Engine logged; logs are opened at least as often as declared, and no oftener than Docker
    logged (a reader that is open asks Docker too, without being counted again).
    `batched`: statements that PostgreSQL saw one by one and the driver was given as one.
    """

    name: str
    act: Callable[["Stack"], object]
    moves: Moves
    looks: bool = False
    batched: Moves = field(default_factory=Counter)


class RecordingApi(Api):
    """Notes under which labels each of its requests is to be counted."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.answers: list[tuple[str, str, int]] = []

    def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> requests.Response:
        response = super().call(method, path, body, token=token)
        self.answers.append((method, f"/api/v1{path.partition('?')[0]}", response.status_code))
        return response

    def ask(self, method: str, path: str, data: bytes | None = None) -> int:
        """Send a request to any path, as nobody, and return the status."""
        origin = self.url.removesuffix("/api/v1")
        headers = {"Content-Type": "application/json"} if data else {}
        response = self._session.request(
            method, f"{origin}{path}", data=data, headers=headers, allow_redirects=False, timeout=30
        )
        self.answers.append((method, path.partition("?")[0], response.status_code))
        return response.status_code


def rule_of(method: str, path: str) -> str:
    """Return the route that is to be counted; where another method is asked, none matches."""
    asked = {"HEAD": ("GET",), "OPTIONS": tuple(route.method for route in ROUTES)}
    for route, pattern in _RULES:
        if route.method in asked.get(method, (method,)) and pattern.fullmatch(path):
            return route.rule
    return "unmatched"


class Stack:
    """Web server with 4 workers, agent, PostgreSQL, Docker Engine and registry.

    `kept` is what one step leaves to the next ones.
    """

    def __init__(
        self,
        directory: Path,
        postgresql: PostgreSQL,
        engine: DockerEngine,
        registry: Registry,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """more: further settings."""
        self.engine, self.registry, self.postgresql = engine, registry, postgresql
        url = postgresql.new_database()
        env = {"DATABASE_URL": url, "DOCKER_HOST": engine.host, "VIBEBOX_SECRET_KEYS": new_key()}
        self.server = WebServer(
            directory,
            {**env, **_QUIET, **_SETTINGS, **(more or {})},
            workers=WORKERS,
            migrate=False,
        )
        self.server.migrate()
        self.agent = Agent.beside(self.server)
        self.statements = Statements(postgresql, url)
        engine.tell_calls(True)
        self.calls = Calls(engine)
        self.raw: Any = engine.client()
        self.raw.hooks["response"].append(self.calls.of_the_test)
        self.api = RecordingApi(self.server.url)
        self.kept: dict[str, Any] = {}
        self.batched: Moves = Counter()
        self.statuses: set[str] = set()

    def start(self) -> None:
        """Start the server and wait until each worker has done what it does at its start."""
        at_start = moves(docker(ping=WORKERS), Counter({"vibebox_workers{}": WORKERS}))
        for attempt in range(_STARTS):
            self.server.start()
            try:
                wait_until(lambda: at_start.items() <= self.shown().items(), PATIENCE)
                return
            except ServiceError:
                # On a machine that is very busy a first look may miss its deadline, and is counted.
                if attempt == _STARTS - 1:
                    raise
                self.server.terminate()

    def hang_up(self) -> None:
        """Close the connections of the test itself; what asks again opens new ones."""
        self.api.__exit__()
        self.raw.close()

    def close(self) -> None:
        """Leave nothing behind."""
        self.agent.close()
        self.server.close()
        self.server.print_log()
        self.engine.heal()
        self.engine.tell_calls(False)
        self.engine.clear()

    def sql(self, *statements: str) -> None:
        """Change the database behind the service's back."""
        with self._unlogged() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    @contextmanager
    def held(self, statement: str) -> Iterator[None]:
        """Hold the locks of a statement."""
        with self._unlogged() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            yield

    def _unlogged(self) -> closing[psycopg2.extensions.connection]:
        """Connect unseen by those who read PostgreSQL's log."""
        url = self.server.env["DATABASE_URL"].replace("+psycopg2", "")
        options = "-c log_statement=none"
        return closing(psycopg2.connect(url, connect_timeout=5, options=options))

    def scrape(self) -> str:
        """Return the text of a scrape."""
        return scrape_text(self.server)

    def shown(self) -> Moves:
        """Return the watched series."""
        return read(self.scrape())

    def shown_and_mismatched(self) -> tuple[Moves, dict[str, int]]:
        """Return the watched series, and by how much the statements that the same scrape shows
        differ from those that PostgreSQL logged."""
        before = self.statements.counted()
        text = self.scrape()
        after = self.statements.counted()
        shown = read(text, {STATEMENTS})
        # Asked meanwhile: to be looked at again.
        wrong = difference(moves(shown, self.batched), before) or difference(after, before)
        return read(text), wrong

    @contextmanager
    def accounted(self, step: Step, before: Moves) -> Iterator[None]:
        """Hold what the body moves against what the step says, until all of it is there."""
        self.answers.clear()
        yield
        self.batched = moves(self.batched, step.batched)
        self.statuses |= {str(status) for *_, status in self.answers}
        requests = (answered(verb, rule_of(verb, path), code) for verb, path, code in self.answers)
        expected = moves(step.moves, *requests)

        def faults() -> str:
            now, statements = self.shown_and_mismatched()
            found = difference(now, before)
            wanted = expected
            if step.looks:
                wanted = moves(expected, _looked(now, found, expected, self.calls.counted()))
            wrong = {
                name: f"{wanted.get(name, 0)}, found {found.get(name, 0)}"
                for name in wanted.keys() | found.keys()
                if wanted.get(name, 0) != found.get(name, 0)
            }
            return f"declared: {wrong}; PostgreSQL differs by {statements}" * bool(
                wrong or statements
            )

        wait_until(lambda: not faults(), PATIENCE, 0.1, faults)

    @property
    def answers(self) -> list[tuple[str, str, int]]:
        """What the API answered in this step."""
        return self.api.answers


def _looked(now: Moves, found: Mapping[str, int], declared: Moves, asked: Counter[str]) -> Moves:
    """Return the inspections, and the logs opened beyond those declared, that Docker confirms.

    Both sides are compared since the start of the server: a call may be logged between two looks.
    """
    inspections = series(DOCKER, operation="inspect", status="success")
    unseen = asked["inspect"] - now[inspections]
    logs = series(DOCKER, operation="logs", status="success")
    confirmed = now[logs] <= asked["logs"]
    more = max(0, found.get(logs, 0) - declared[logs]) if confirmed else 0
    return docker(inspect=found.get(inspections, 0) - declared[inspections] + unseen, logs=more)
