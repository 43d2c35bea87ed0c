"""Three faults beside one, of its kind, which have nothing to do with it: each for a block.

Smaller ones, so that no alert fires for them; an explanation must not take one of them for the
other. Targets of other jobs are down all the time (see `Stack`).
"""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from tests.backends.programs import wait_until
from tests.end_to_end.alerts import harm
from tests.end_to_end.alerts.load import Caller, Load
from tests.end_to_end.alerts.stack import ADA, Stack
from tests.end_to_end.api import PASSWORD
from tests.engine.images import commit

Beside = Callable[[Stack], AbstractContextManager[None]]
_OTHER_ADDRESSES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")


@contextmanager
def routes_slow(stack: Stack) -> Iterator[None]:
    """Three other routes take some tenths of a second."""
    with _asked(stack, [f"/slow/{number}" for number in (1, 2, 3)], pause=1.0):
        yield


@contextmanager
def routes_failing(stack: Stack) -> Iterator[None]:
    """Three other routes fail now and then."""
    with _asked(stack, [f"/failing/{number}" for number in (1, 2, 3)], pause=4.0):
        yield


@contextmanager
def _asked(stack: Stack, paths: list[str], pause: float) -> Iterator[None]:
    """Have each of these asked for from time to time."""
    caller = Caller(stack.server.port, str(stack.api.tokens["access_token"]))
    with ExitStack() as loads:
        for path in paths:
            loads.enter_context(Load(partial(caller.call, "GET", path), pause=pause))
        yield


@contextmanager
def statements_slow(stack: Stack) -> Iterator[None]:
    """Three other tables are read more slowly than usual."""
    read = {"api_keys": "api-keys", "alerts": "alerts", "audit_entries": "audit"}
    with ExitStack() as slow:
        for table in read:
            slow.enter_context(harm.reading(stack, table, "pg_sleep(0.05)"))
        slow.enter_context(_asked(stack, [f"/api/v1/{path}" for path in read.values()], pause=1.0))
        yield


@contextmanager
def addresses_mistaken(stack: Stack) -> Iterator[None]:
    """From three other addresses somebody mistypes a password now and then."""
    with ExitStack() as loads:
        for address in _OTHER_ADDRESSES:
            caller = Caller(stack.server.port, source=address)
            wrong = {"email": ADA, "password": f"mistyped at {address}"}
            sign_in = partial(caller.call, "POST", harm.SIGN_IN, wrong)
            loads.enter_context(Load(sign_in, pause=10.0))
        yield


@contextmanager
def addresses_joining(stack: Stack) -> Iterator[None]:
    """From three other addresses somebody makes two accounts."""
    for address, number in itertools.product(_OTHER_ADDRESSES, range(2)):
        body = {"email": f"{address}-{number}@example.org", "password": PASSWORD}
        caller = Caller(stack.server.port, source=address)
        assert caller.call("POST", "/api/v1/auth/register", body) == 201
    yield


@contextmanager
def tasks_failing(stack: Stack) -> Iterator[None]:
    """Three other loops of the agent fail at one read in forty or so."""
    with ExitStack() as failing:
        read = {"image_pulls": "id", "container_exits": "container_id", "sessions": "id"}
        for table, key in read.items():
            failing.enter_context(harm.reading(stack, table, "1 / (random() * 20)::int", key))
        yield


@contextmanager
def environments_ending(stack: Stack) -> Iterator[None]:
    """The containers of three other environments come to the end of their command."""
    short = commit(stack.engine.client(), stack.engine, "sleep 2")
    ids = [stack.api.create(f"short-{number}", short) for number in range(3)]
    for id in ids:
        assert stack.api.act(id, "start").status_code == 200
    yield
    for id in ids:
        stack.api.call("DELETE", f"/environments/{id}")


@contextmanager
def workers_ending(stack: Stack) -> Iterator[None]:
    """Three other workers are asked to end once, and replaced."""
    pids = stack.server.worker_pids()
    for pid in pids[:3] if len(pids) > 3 else pids[:-1]:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: len(stack.server.worker_pids()) == len(pids), 30)
    yield
