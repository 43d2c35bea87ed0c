"""`python -m tests.monitoring.boards.pictures DIRECTORY [WIDTH-THEME]...`: of a live stack.

The stack of `test_alive`, taken through the same steps, kept busy for a while by requests of
several kinds, and then through an incident, so that curves have a course. Rules are those that are
shipped, with their durations divided. Of several widths and themes each has its own directory.
"""

import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import requests

from monitoring.preview.__main__ import PLACE
from monitoring.preview.site import build
from tests.backends.agent import Agent
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
from tests.monitoring.boards import incident, load
from tests.monitoring.boards.test_alive import INTERVAL, prometheus_of

SECONDS = 120
"""Of the load before the incident."""
CALLERS = 3
USUAL = "1600-dark"
# The more often, the oftener it is listed.
_PATHS = (
    *("/environments",) * 6,
    *("/auth/me",) * 4,
    *("/teams", "/projects", "/quota", "/audit", "/api-keys"),
    "/environments/none",
)
_ACTIONS = ("restart", "pause", "unpause", "stop", "start", "start")
_SETTINGS = {
    "VIBEBOX_HEALTH_CHECK_INTERVAL": "5",
    "VIBEBOX_AGENT_SWEEP_INTERVAL": "20",
    # As dear as it would be after a day.
    "VIBEBOX_USAGE_PRICES": "running_hour=2,cpu_hour=40,memory_gib_hour=50",
    # Of which a team has something.
    "VIBEBOX_QUOTA_ENVIRONMENTS": "20",
    "VIBEBOX_QUOTA_CPUS": "30",
    "VIBEBOX_QUOTA_MEMORY_MB": "20480",
}


def main(directory: Path, *variants: str) -> int:
    """Write the pictures; return the exit code of the preview."""
    build(PLACE)
    with ExitStack() as services:
        engine = services.enter_context(closing(DockerEngine()))
        postgresql = services.enter_context(closing(PostgreSQL()))
        registry = services.enter_context(closing(Registry()))
        work = Path(services.enter_context(tempfile.TemporaryDirectory()))
        stack = services.enter_context(closing(_stack(work, postgresql, engine, registry)))
        rules = incident.rules(work)
        prometheus = services.enter_context(closing(prometheus_of(stack, rules, usage=True)))
        _prepare(stack)
        # What was counted for the first time by then has a scrape before the time shown.
        time.sleep(10 * INTERVAL)
        begun = time.monotonic()
        with _callers(stack):
            with load.sessions_in_use(stack):
                _keep_busy(stack, begun + SECONDS)
            # A rate needs a round that Prometheus has seen before.
            load.fail_to_come_in(stack)
            incident.more_sign_up(stack)
            # A token is good for minutes.
            stack.api.login(ADA)
            until = incident.happens(stack)
            shown = round(time.monotonic() - begun) - 10
        places = {variant: directory / variant for variant in variants} or {USUAL: directory}
        return max(
            _draw(prometheus, until, shown, variant, place) for variant, place in places.items()
        )


def _stack(work: Path, postgresql: PostgreSQL, engine: DockerEngine, registry: Registry) -> Stack:
    stack = Stack(work, postgresql, engine, registry, load.SETTINGS)
    stack.server.set(**_SETTINGS)
    stack.agent = Agent.beside(stack.server)
    stack.start()
    return stack


def _prepare(stack: Stack) -> None:
    load.warm_up(stack)
    load.run_steps(stack)
    incident.make_up_sign_ups(stack)
    load.write_lines(stack)
    load.install_extension(stack)
    agents.upload_again(stack)
    load.use_a_team(stack)
    load.fail_to_come_in(stack)
    load.come_in(stack)


def _draw(prometheus: Prometheus, until: float, seconds: int, variant: str, directory: Path) -> int:
    width, theme = variant.split("-")
    options = {
        "prometheus": prometheus.url,
        "range": f"{seconds}s",
        "until": f"{until:.0f}",
        "interval": f"{INTERVAL}s",
        "width": width,
        "theme": theme,
        "pictures": str(directory),
    }
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "monitoring.preview", *given]
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
            # While the server is restarted, nobody answers.
            with suppress(requests.RequestException):
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
        lambda: incident.tell(stack),
        lambda: stack.api.call("GET", f"/environments/{stack.kept['tools']}/stats"),
        lambda: stack.api.ask("GET", "/health/ready"),
        lambda: stack.api.ask("BREW", "/"),
        # Refused while the one before is being installed.
        lambda: stack.api.call("POST", f"{agents.extensions(stack)}/upload", package()),
        lambda: trip_over_the_schema(stack),
    )
    weights = (6, 8, 4, 2, 2, 1, 1, 0.1)
    while time.monotonic() < until:
        random.choices(chores, weights)[0]()
        time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
