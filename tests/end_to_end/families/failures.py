"""Docker Engine and database fail; the agent is gone by then."""

from contextlib import closing

import psycopg2

from tests.end_to_end.families.agents import new
from tests.end_to_end.families.accounts import expect
from tests.end_to_end.families.environments import FIRST_START, act
from tests.end_to_end.families.moves import (
    Moves,
    checked,
    docker,
    environments,
    moves,
    started,
    token,
    up,
)
from tests.end_to_end.families.stack import Stack, Step


def sql(stack: Stack, *statements: str) -> None:
    """Change the database behind the service's back, unseen by those who read its log."""
    url = stack.server.env["DATABASE_URL"].replace("+psycopg2", "")
    quiet = "-c log_statement=none"
    with closing(psycopg2.connect(url, connect_timeout=5, options=quiet)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def new_and_started(stack: Stack) -> None:
    new("three")(stack)
    act("three", "start")(stack)


def measure_while_it_hangs(stack: Stack) -> None:
    stack.engine.suspend()
    try:
        act("three", "GET stats", 504)(stack)
    finally:
        stack.engine.resume()


def stop_engine(stack: Stack) -> None:
    stack.engine.stop()
    assert stack.api.ask("GET", "/health/ready") == 503


def trip_over_the_schema(stack: Stack) -> None:
    sql(stack, "ALTER TABLE api_keys RENAME COLUMN prefix TO moved")
    try:
        expect(500, stack.api.call("GET", "/api-keys"))
    finally:
        sql(stack, "ALTER TABLE api_keys RENAME COLUMN moved TO prefix")


STEPS = (
    Step("end of the agent", lambda stack: stack.agent.terminate(), Moves()),
    Step(
        "one more container",
        new_and_started,
        moves(token(2), FIRST_START, started(success=1), environments(running=1)),
    ),
    Step(
        "measured use of a hung engine",
        measure_while_it_hangs,
        moves(token(), docker("failure", stats=1)),
    ),
    Step("what nobody foresaw", trip_over_the_schema, token()),
    Step(
        "no engine",
        stop_engine,
        moves(
            checked("database", "docker", "agent"),
            docker("failure", ping=1),
            up("docker", -1),
            up("agent", -1, "false"),
        ),
    ),
    Step(
        "start without an engine",
        act("two", "start", 503),
        moves(token(), docker("failure", inspect=1), started(failure=1)),
    ),
)
