"""Every series of an event moves by the exact amount, and nothing moves beside it.

One stack is taken through many steps. Each says what it moves (see `families`), its requests count
as the client saw them, and its statements as PostgreSQL logged them; all else must stand still.
"""

from collections.abc import Iterator

import pytest

from tests.end_to_end.families import accounts, agents, environments, failures
from tests.end_to_end.families.stack import Stack
from tests.services.docker_engine import DockerEngine
from tests.services.postgresql import PostgreSQL
from tests.services.registry import Registry

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

STEPS = (*accounts.STEPS, *environments.STEPS, *agents.STEPS, *failures.STEPS)


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    postgresql: PostgreSQL,
    docker_engine: DockerEngine,
    registry: Registry,
) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("families"), postgresql, docker_engine, registry)
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


def test_each_step_moves_what_it_says_and_nothing_else(
    stack: Stack, subtests: pytest.Subtests
) -> None:
    before = stack.shown()
    for step in STEPS:
        with subtests.test(step.name), stack.accounted(step, before):
            step.act(stack)
        # What moves late is found beside the next step.
        before = stack.shown()
    print("SEEN", sorted(stack.statements.counted()))
