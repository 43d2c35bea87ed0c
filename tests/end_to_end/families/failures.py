"""Docker Engine and database fail; the agent is gone by then."""

from tests.end_to_end.families.accounts import expect
from tests.end_to_end.families.agents import new
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


def age(stack: Stack) -> None:
    """Let what the agent throws away after days be as old; the next agent looks at its start."""
    long_ago = "'2020-01-01'"
    stack.sql(
        f"UPDATE container_exits SET exited_at = {long_ago} WHERE reason = 'user'",
        f"UPDATE image_pulls SET finished_at = {long_ago} WHERE finished_at IS NOT NULL",
        f"UPDATE audit_entries SET at = {long_ago} WHERE action = 'environment.restart'",
        "INSERT INTO sessions (id, environment_id, type, status, name, container_id, created_at, "
        "last_active_at, ended_at) SELECT gen_random_uuid(), id, 'shell', 'terminated', 'old', "
        f"'none', {long_ago}, {long_ago}, {long_ago} FROM environments LIMIT 1",
    )
    stack.agent.start()


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
    stack.sql("ALTER TABLE api_keys RENAME COLUMN prefix TO moved")
    try:
        expect(503, stack.api.call("GET", "/api-keys"))
    finally:
        stack.sql("ALTER TABLE api_keys RENAME COLUMN moved TO prefix")


def trip_over_a_type(stack: Stack) -> None:
    """JSON has no order: a column of which nobody can know."""
    change = "ALTER TABLE api_keys ALTER COLUMN created_at TYPE"
    stack.sql(f"{change} json USING to_json(created_at)")
    try:
        expect(500, stack.api.call("GET", "/api-keys"))
    finally:
        stack.sql(f"{change} timestamptz USING (created_at #>> '{{}}')::timestamptz")


def probe_another_schema(stack: Stack) -> None:
    stack.sql("UPDATE alembic_version SET version_num = 'x' || version_num")
    try:
        assert stack.api.ask("GET", "/health/ready") == 503
    finally:
        stack.sql("UPDATE alembic_version SET version_num = substr(version_num, 2)")


STEPS = (
    Step("end of the agent", lambda stack: stack.agent.terminate(), Moves(), looks=True),
    # It looks at what runs and at what has ended, two containers in all, and at their logs.
    Step("old rows", age, docker(events=1, list=2, volume=2, logs=2), looks=True),
    Step("end of the next agent", lambda stack: stack.agent.terminate(), Moves(), looks=True),
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
    Step("a column that is missing", trip_over_the_schema, token()),
    Step("what nobody foresaw", trip_over_a_type, token()),
    Step(
        "database of another release",
        probe_another_schema,
        moves(
            checked("database", "docker", "agent", "disk"),
            docker(ping=1),
            up("database", -1),
            up("agent", -1, "false"),
        ),
    ),
    Step(
        "database of this release",
        lambda stack: stack.api.ask("GET", "/health/ready"),
        moves(checked("database", "docker", "agent", "disk"), docker(ping=1), up("database", 1)),
    ),
    Step(
        "no engine",
        stop_engine,
        moves(
            checked("database", "docker", "agent", "disk"),
            docker("failure", ping=1),
            up("docker", -1),
        ),
    ),
    Step(
        "start without an engine",
        act("two", "start", 503),
        moves(token(), docker("failure", inspect=1), started(failure=1)),
    ),
)
