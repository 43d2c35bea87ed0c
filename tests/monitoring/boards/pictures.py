"""`python -m tests.monitoring.boards.pictures DIRECTORY`: pictures of a live stack under load.

The stack of `test_alive`, taken through the same steps and then kept busy for a while by
requests of several kinds, so that curves have a course.
"""

import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from monitoring.preview.__main__ import PLACE
from monitoring.preview.site import build
from tests.backends.code_server import package
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.prometheus import Prometheus
from tests.backends.registry import Registry
from tests.end_to_end.api import Api
from tests.end_to_end.families import agents
from tests.end_to_end.families.accounts import ADA
from tests.end_to_end.families.failures import trip_over_the_schema
from tests.end_to_end.families.stack import Stack
from tests.monitoring.boards import load
from tests.monitoring.boards.test_alive import INTERVAL, prometheus_of

SECONDS = 150
CALLERS = 3
# The more often, the oftener it is listed.
_PATHS = (
    *("/environments",) * 6,
    *("/auth/me",) * 4,
    *("/teams", "/projects", "/quota", "/audit", "/api-keys"),
    "/environments/none",
)
_ACTIONS = ("restart", "pause", "unpause", "stop", "start", "start")


def main(directory: Path) -> int:
    """Write the pictures; return the exit code of the preview."""
    build(PLACE)
    with ExitStack() as services:
        engine = services.enter_context(closing(DockerEngine()))
        postgresql = services.enter_context(closing(PostgreSQL()))
        registry = services.enter_context(closing(Registry()))
        work = Path(services.enter_context(tempfile.TemporaryDirectory()))
        stack = services.enter_context(closing(Stack(work, postgresql, engine, registry)))
        stack.start()
        prometheus = services.enter_context(closing(prometheus_of(stack, usage=True)))
        begun = time.monotonic()
        load.warm_up(stack)
        load.run_steps(stack)
        load.write_lines(stack)
        load.install_extension(stack)
        agents.upload_again(stack)
        load.use_a_team(stack)
        with load.sessions_in_use(stack), _callers(stack):
            _keep_busy(stack, begun + SECONDS)
            return _draw(prometheus, round(time.monotonic() - begun) - 10, directory)


def _draw(prometheus: Prometheus, seconds: int, directory: Path) -> int:
    options = [
        "--prometheus",
        prometheus.url,
        "--range",
        f"{seconds}s",
        "--interval",
        f"{INTERVAL}s",
    ]
    command = [sys.executable, "-m", "monitoring.preview", "--pictures", str(directory), *options]
    return subprocess.run(command, check=False, timeout=1800).returncode


@contextmanager
def _callers(stack: Stack) -> Iterator[None]:
    """Send requests from several threads for as long as the block."""
    ending = threading.Event()
    threads = [threading.Thread(target=_call, args=(stack, ending)) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def _call(stack: Stack, ending: threading.Event) -> None:
    with Api(stack.server.url) as api:
        api.login(ADA)
        while not ending.wait(random.expovariate(8)):
            api.call("GET", random.choice(_PATHS))
            if random.random() < 0.02:
                api.login(ADA, "not the password")
                api.login(ADA)


def _keep_busy(stack: Stack, until: float) -> None:
    """Act on environments, write lines and now and then fail, one after another."""
    path = f"/environments/{stack.api.create('busy', stack.engine.busybox)}"
    chores: tuple[Callable[[], object], ...] = (
        lambda: stack.api.call("POST", f"{path}/{random.choice(_ACTIONS)}"),
        lambda: agents.type_into(stack, "echo out; echo more; echo err >&2"),
        lambda: stack.api.call("GET", f"/environments/{stack.kept['tools']}/stats"),
        lambda: stack.api.ask("GET", "/health/ready"),
        lambda: stack.api.ask("BREW", "/"),
        # Refused while the one before is being installed.
        lambda: stack.api.call("POST", f"{agents.extensions(stack)}/upload", package()),
        lambda: trip_over_the_schema(stack),
    )
    weights = (6, 8, 2, 2, 1, 1, 0.1)
    while time.monotonic() < until:
        random.choices(chores, weights)[0]()
        time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
