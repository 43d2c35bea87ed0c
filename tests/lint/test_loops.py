"""No loop of ours works on items without isolation: a lint over the syntax of what runs unattended.

What runs in the agent, or in a thread of the web beside the requests, goes on for as long as the
process does, over the items of all accounts. A `for` there that asks Docker, the database or a
container in its body does so by `Items` or `Isolation` (see `app.core.isolation`), or stands below.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import app

ROOT = Path(app.__file__).parent

UNATTENDED = ("agent", "domain/heartbeat.py", "web/websockets/polling_hub.py")
"""What runs without anybody waiting for it."""

ASKS = {"reading", "writing", "execute", "scalar", "scalars", "attempt", "look", "store"}
"""Methods that wait for the database or Docker; beside them every method of `_engine`."""

ALLOWED = {
    ("agent/log_intake/batches.py", "_add"): "one batch, in one transaction; see the writer",
    ("agent/log_intake/batches.py", "_move_cursors"): "one batch, in one transaction",
    ("agent/log_intake/batches.py", "_raise_usage"): "one batch, in one transaction",
    ("agent/log_intake/batches.py", "_take_numbers"): "one batch, in one transaction",
    (
        "agent/reconcile/docker_events.py",
        "_follow",
    ): "the one stream of events; each event is isolated",
    ("agent/reconcile/sweep.py", "_remove"): "what one environment left, as one item",
    ("agent/reconcile/reconciler.py", "_look"): "the two names of one container",
    ("agent/log_intake/retention.py", "_delete"): "sums of one batch, in one transaction",
    (
        "agent/log_intake/writer.py",
        "_store",
    ): "each reader's lines apart; guarded in `_store_apart`",
    ("domain/heartbeat.py", "_run"): "no items: the one row of this process, again and again",
    ("agent/sessions/reconciler.py", "_look"): "the sessions of one container, which is the item",
    (
        "agent/sessions/reconciler.py",
        "_compare",
    ): "the sessions of one container, which is the item",
    ("web/websockets/polling_hub.py", "_run"): "guarded, and under a deadline each, in `_look`",
    ("agent/pulls/pulls.py", "run_pending"): "taking is a statement; each pull has its thread",
    ("agent/pulls/pulls.py", "_make_way"): "one of the pulls at most is ended or put back",
}
"""Loops that may, and why none of their items can hold up or break another's."""


def files() -> Iterator[Path]:
    for name in UNATTENDED:
        path = ROOT / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def functions(tree: ast.AST) -> dict[str, ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name: node for node in ast.walk(tree) if isinstance(node, kinds)}


def called(node: ast.AST) -> set[str]:
    """Return the names of what is called within."""
    names = set()
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            if isinstance(call.func, ast.Attribute):
                names.add(call.func.attr)
            elif isinstance(call.func, ast.Name):
                names.add(call.func.id)
    return names


def asks(node: ast.AST) -> bool:
    """Tell whether something is asked of the database or Docker right there."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            owner = call.func.value
            of_engine = isinstance(owner, ast.Attribute) and owner.attr in {"_engine", "_commands"}
            if call.func.attr in ASKS or of_engine:
                return True
    return False


def asking(tree: ast.AST) -> set[str]:
    """Return the functions of a module that ask, by themselves or through each other."""
    found = functions(tree)
    names = {name for name, node in found.items() if asks(node)}
    while True:
        more = {name for name, node in found.items() if called(node) & names} | names
        if more == names:
            return names
        names = more


def loops(path: Path) -> Iterator[str]:
    """Yield the functions in which a `for` asks for each of its items."""
    tree = ast.parse(path.read_text())
    names = asking(tree)
    for name, function in functions(tree).items():
        for node in ast.walk(function):
            if not isinstance(node, ast.For):
                continue
            if any(asks(part) or called(part) & names for part in node.body):
                yield name


FOUND = {(path.relative_to(ROOT).as_posix(), name) for path in files() for name in loops(path)}


def test_no_loop_asks_for_each_item_without_isolation() -> None:
    assert FOUND - set(ALLOWED) == set()


def test_the_list_of_exceptions_can_only_shrink() -> None:
    assert set(ALLOWED) - FOUND == set()


def test_what_runs_unattended_is_all_there_is() -> None:
    """A module that starts a thread of its own runs unattended, or says why not."""
    attended = {
        "cli": "the client's own",
        "core/single_flight.py": "runs one thing at a time, for who waits for it",
        "core/isolation.py": "is the isolation",
        "core/items.py": "is the isolation",
        "exporter/process.py": "sends log lines; where that fails, the process is started anew",
        "exporter/pusher.py": "a push that fails is told, and the next says all of it again",
        "core/otlp_sender.py": "one request, which its caller waits for as long as it may take",
        "stores/http.py": "one question, which its caller waits for as long as it may take",
        "probing/steps.py": "one step, which its caller waits for as long as it may take",
        "core/kept_process.py": "waits for one process, and starts it anew whatever became of it",
        "metrics": "measures its own process; a part that fails is counted and left out",
        "web/gunicorn_worker": "serves requests",
        "web/user_telemetry/forwarding.py": "one request, which its caller waits for",
        "web/health/checks.py": "one thread for each check; none waits for another",
    }
    starting = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if "threading.Thread(" in path.read_text()
    }
    known = {path.relative_to(ROOT).as_posix() for path in files()}
    unknown = {name for name in starting - known if not name.startswith(tuple(attended))}
    assert unknown == set()
