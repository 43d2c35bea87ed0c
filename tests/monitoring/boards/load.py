"""A load that moves all that the panels show, and keeps a record of its own of what it did.

Most of it are the steps of `tests.end_to_end.families`, each of which says what it moves.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from click.testing import CliRunner

from app.cli.main import main
from tests.backends.host_image import import_host_image
from tests.end_to_end.api import Api
from tests.end_to_end.families import accounts, agents, environments, failures
from tests.end_to_end.families.accounts import expect
from tests.end_to_end.families.environments import act
from tests.end_to_end.families.moves import Moves, answered, labels_of, moves
from tests.end_to_end.families.stack import Stack, Step, rule_of
from tests.end_to_end.sockets import Screen, opened

VISITOR = "visitor@example.org"
NOBODY = "http://127.0.0.1:1"
PROBED = {"VIBEBOX_PROBE": "cron", "VIBEBOX_PROBE_URL": NOBODY}
# Without bounds on a month no dashboard shows how full it is.
SETTINGS = {
    **PROBED,
    "VIBEBOX_QUOTA_CPU_HOURS": "1000",
    "VIBEBOX_QUOTA_MEMORY_GIB_HOURS": "1000",
}
_FAILURES = ("one more container", "measured use of a hung engine", "what nobody foresaw")
STEPS: tuple[Step, ...] = (
    *accounts.STEPS,
    *environments.STEPS,
    *(step for step in failures.STEPS if step.name in _FAILURES),
)
"""What is done while no agent runs: all that is counted then is known exactly."""

SLOW = "/api/v1/projects"
_SLOW_CALLERS, _SLOW_SECONDS = 6, 1.6
BUSY = "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 1; done"
LINES = {"stdout": 2, "stderr": 1}


def warm_up(stack: Stack) -> None:
    """Ask once for what nothing counts before its first use, which a rate cannot see.

    Histograms of routes are such, and HEAD and OPTIONS, which no route documents.
    """
    expect(201, stack.api.register(VISITOR))
    accounts.log_in(stack, VISITOR)
    expect(200, stack.api.call("GET", "/projects"))
    stack.api.ask("HEAD", "/health/live")
    stack.api.ask("OPTIONS", "/api/v1/auth/login")
    stack.answers.clear()


def run_steps(stack: Stack) -> Moves:
    """Take the stack through its steps and return what they moved, by series."""
    for step in STEPS:
        step.act(stack)
    requests = (answered(verb, rule_of(verb, path), code) for verb, path, code in stack.answers)
    return moves(*(step.moves for step in STEPS), *requests)


def ask_slowly(stack: Stack) -> tuple[Moves, list[float]]:
    """Ask for projects while the table is locked; return what that moves, and each duration."""
    token = stack.api.tokens["access_token"]
    ready = threading.Barrier(_SLOW_CALLERS + 1)

    def ask() -> float:
        with Api(stack.server.url) as api:
            ready.wait(30)
            begun = time.monotonic()
            expect(200, api.call("GET", "/projects", token=token))
            return time.monotonic() - begun

    with ThreadPoolExecutor(_SLOW_CALLERS) as pool:
        with stack.held("LOCK TABLE projects IN ACCESS EXCLUSIVE MODE"):
            asked = [pool.submit(ask) for _ in range(_SLOW_CALLERS)]
            ready.wait(30)
            time.sleep(_SLOW_SECONDS)
        durations = [each.result() for each in asked]
    return moves(*[answered("GET", SLOW, 200)] * len(durations)), durations


def write_lines(stack: Stack) -> None:
    """Have a container write LINES, which the agent stores; it runs from here on."""
    agents.new_and_started(stack)
    stack.agent.start()
    agents.type_into(stack, "echo out; echo more; echo err >&2")


def use_a_team(stack: Stack) -> None:
    """Have a container of a team run, write lines and want more CPU than it may have.

    There is another team, which has nothing: of one, panels show no sum.
    """
    api = stack.api
    expect(201, api.call("POST", "/teams", {"name": "visitors"}))
    team = expect(201, api.call("POST", "/teams", {"name": "builders"}))["id"]
    project = expect(201, api.call("POST", "/projects", {"name": "site", "team_id": team}))["id"]
    stack.kept["team's"] = api.create(
        "forge",
        stack.engine.busybox,
        project_id=project,
        cpu_limit=0.1,
        memory_limit_mb=32,
    )
    act("team's", "start")(stack)
    agents.type_into(stack, BUSY, "team's")


@contextmanager
def sessions_in_use(stack: Stack) -> Iterator[int]:
    """Keep a terminal of each kind and both streams open; yield the number of WebSockets."""
    stack.kept["tools"] = stack.api.create("tools", import_host_image(stack.raw))
    act("tools", "start")(stack)
    path = f"/environments/{stack.kept['tools']}"
    with ExitStack() as open_sockets:
        for kind in ("tmux", "shell"):
            made = expect(201, stack.api.call("POST", f"{path}/sessions", {"type": kind}))
            socket = opened(stack.api, f"/sessions/{made['id']}/terminal")
            screen = Screen(open_sockets.enter_context(socket))
            screen.type("echo $((6 * 7))x\n")
            screen.wait("42x")
        for stream in ("logs/stream", "status/stream"):
            open_sockets.enter_context(opened(stack.api, f"{path}/{stream}"))
        yield 4


def active_sessions(stack: Stack, kind: str) -> int:
    """Return how many sessions of the type are in use, as the API lists them."""
    path = f"/environments/{stack.kept['tools']}/sessions"
    listed = expect(200, stack.api.call("GET", path))["items"]
    return sum((item["type"], item["status"]) == (kind, "active") for item in listed)


def fail_to_come_in(stack: Stack) -> None:
    """Let the synthetic user go to an address where nobody is, as cron does; metrics show it."""
    arguments = ["probe", "--json", "--url", NOBODY]
    found = CliRunner().invoke(main, arguments, env={**stack.server.env, **PROBED})
    assert found.exit_code == 1, found.output


def come_in(stack: Stack) -> None:
    """Let the synthetic user go a whole round, which needs an agent."""
    way = {"VIBEBOX_PROBE_URL": stack.server.url, "VIBEBOX_PROBE_IMAGE": stack.engine.busybox}
    found = CliRunner().invoke(main, ["probe"], env={**stack.server.env, **PROBED, **way})
    assert found.exit_code == 0, found.output


def install_extension(stack: Stack) -> None:
    """Ask for an extension where there is no VS Code server: it fails."""
    path = f"/environments/{stack.kept['two']}/extensions"
    expect(202, stack.api.call("POST", path, {"id": "nobody.nothing@1.0.0"}))


def by(record: Moves, name: str, *labels: str, **wanted: str) -> Counter[tuple[str, ...]]:
    """Return the record of one name by some of its labels, of the series that have `wanted`."""
    found: Counter[tuple[str, ...]] = Counter()
    for key, amount in record.items():
        has = dict(labels_of(key, (name,)))
        if has and wanted.items() <= has.items():
            found[tuple(has[label] for label in labels)] += amount
    return found


def without(record: Moves, unwanted: Callable[[dict[str, Any]], bool], name: str) -> Moves:
    """Return the series of a name whose labels are not unwanted."""
    return Counter(
        {
            key: amount
            for key, amount in record.items()
            if (has := dict(labels_of(key, (name,)))) and not unwanted(has)
        }
    )
