"""What goes on while all is well: each for the length of a block, in which no alert may fire.

Half an hour of the rules' time each. What takes its time whatever the rules are divided by (a
process that starts, a lease that runs out) is divided by less, so that it is short beside them.
"""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.end_to_end.alerts.harm import SIGN_IN
from tests.end_to_end.alerts.load import Caller, Load
from tests.end_to_end.alerts.stack import ADA, Stack
from tests.end_to_end.alerts.watching import ordinary
from tests.end_to_end.api import PASSWORD

MINUTES = 30
Make = Callable[[Stack], AbstractContextManager[None]]


@dataclass(frozen=True)
class Quiet:
    """A quiet case; `factor` is what the rules' durations are divided by."""

    make: Make
    factor: float = 60


@contextmanager
def idle(_stack: Stack) -> Iterator[None]:
    """Nobody asks for anything."""
    yield


@contextmanager
def ordinary_load(stack: Stack) -> Iterator[None]:
    """A user looks at this and that."""
    with ordinary(stack):
        yield


@contextmanager
def night_with_one_error(stack: Stack) -> Iterator[None]:
    """A request a minute, of which one fails in the middle of the night."""
    with _night(stack, "/fail"):
        yield


@contextmanager
def night_with_one_slow_request(stack: Stack) -> Iterator[None]:
    """A request a minute, of which one takes six seconds."""
    with _night(stack, "/wait/6"):
        yield


@contextmanager
def _night(stack: Stack, odd: str) -> Iterator[None]:
    caller = Caller(stack.server.port, str(stack.api.tokens["access_token"]))
    numbers = itertools.count()

    def ask() -> int:
        return caller.call("GET", odd if next(numbers) == 5 else "/api/v1/auth/me")

    with Load(ask, pause=60 / stack.factor):
        yield


@contextmanager
def mistyped_passwords(stack: Stack) -> Iterator[None]:
    """People sign in, and mistype one password in eight."""
    caller = Caller(stack.server.port)
    numbers = itertools.count(1)

    def sign_in() -> int:
        password = PASSWORD if next(numbers) % 8 else "correct horse batery"
        return caller.call("POST", SIGN_IN, {"email": ADA, "password": password})

    with Load(sign_in, pause=0.2), ordinary(stack):
        yield


@contextmanager
def scrape_missed(stack: Stack) -> Iterator[None]:
    """One scrape finds nobody."""
    with ordinary(stack), _once(stack, stack.way.down, stack.way.up):
        yield


@contextmanager
def database_blinks(stack: Stack) -> Iterator[None]:
    """All connections to the database break once."""
    assert stack.proxy is not None
    with ordinary(stack), _once(stack, stack.proxy.reset):
        yield


@contextmanager
def engine_blinks(stack: Stack) -> Iterator[None]:
    """Docker Engine is restarted."""
    with ordinary(stack), _once(stack, stack.docker.down, stack.docker.up):
        yield


@contextmanager
def worker_killed_once(stack: Stack) -> Iterator[None]:
    """One worker is killed."""
    with ordinary(stack):
        os.kill(stack.server.worker_pids()[0], signal.SIGKILL)
        yield


@contextmanager
def release_taken_up(stack: Stack) -> Iterator[None]:
    """The workers are replaced, as a new release is taken up."""
    with ordinary(stack):
        stack.server.signal(signal.SIGHUP)
        yield


@contextmanager
def environment_works(stack: Stack) -> Iterator[None]:
    """An environment is made, started, restarted, stopped and deleted, and another one stays up."""
    kept = stack.api.create("kept", stack.engine.busybox)
    passing = stack.api.create("passing", stack.engine.busybox)
    for environment in (kept, passing):
        assert stack.api.act(environment, "start").status_code == 200
    with ordinary(stack):
        for action in ("restart", "stop"):
            assert stack.api.act(passing, action).status_code == 200
        stack.api.call("DELETE", f"/environments/{passing}")
        yield
    stack.api.call("DELETE", f"/environments/{kept}")


@contextmanager
def service_restarted(stack: Stack) -> Iterator[None]:
    """The server is stopped and started once."""
    with ordinary(stack):
        stack.server.terminate()
        stack.server.start()
        yield


@contextmanager
def agent_restarted(stack: Stack) -> Iterator[None]:
    """The agent is stopped and started once."""
    with ordinary(stack):
        stack.agent.terminate()
        stack.agent.start()
        yield


@contextmanager
def agent_replaced(stack: Stack) -> Iterator[None]:
    """The agent is killed; the next one leads when the lease has run out."""
    with ordinary(stack):
        stack.agent.kill()
        stack.agent.start()
        yield


@contextmanager
def _once(
    stack: Stack, harm: Callable[[], object], undo: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Do harm for the length of a scrape, and have all of the block to see what follows."""
    harm()
    threading.Event().wait(stack.interval)
    undo()
    yield


_SLOW = 6.0
CASES: dict[str, Quiet] = {
    "idle": Quiet(idle),
    "load": Quiet(ordinary_load),
    "one error": Quiet(night_with_one_error),
    "one slow request": Quiet(night_with_one_slow_request),
    "mistyped passwords": Quiet(mistyped_passwords),
    # A scrape is to be short beside what an alert waits for, as it is: 15 seconds of a minute.
    "missed scrape": Quiet(scrape_missed, 20),
    "database blinks": Quiet(database_blinks),
    "engine blinks": Quiet(engine_blinks),
    "worker killed": Quiet(worker_killed_once),
    "release": Quiet(release_taken_up, 20),
    "environments": Quiet(environment_works, 20),
    "restart": Quiet(service_restarted, _SLOW),
    "agent restarted": Quiet(agent_restarted, _SLOW),
    "agent replaced": Quiet(agent_replaced, _SLOW),
}
