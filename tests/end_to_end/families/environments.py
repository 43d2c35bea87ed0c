"""What a user does with an environment; no agent runs meanwhile."""

from tests.backends.programs import free_port
from tests.end_to_end.families.accounts import expect
from tests.end_to_end.families.moves import (
    auth,
    docker,
    environments,
    moves,
    sessions,
    started,
    token,
)
from tests.end_to_end.families.stack import Stack, Step

# A first start looks for the image, makes volume and container, starts and inspects it, and waits
# for the answer of an exec, after which it looks once more.
FIRST_START = docker(inspect=3, volume=1, create=1, start=1, exec=1)


def create(stack: Stack) -> None:
    ports = [{"container_port": 80, "host_port": free_port()}]
    stack.kept["one"] = stack.api.create("one", stack.engine.busybox, ports=ports)
    stack.kept["never"] = stack.api.create("never", "no/such-image:1", pull="never")


def act(name: str, action: str, status: int = 200, **body: object) -> "Act":
    return Act(name, action, status, body)


def use_a_session(stack: Stack) -> None:
    """Start a shell that nobody comes to; knock at its terminal with a ticket; end it."""
    api, path = stack.api, f"/environments/{stack.kept['one']}/sessions"
    made = expect(201, api.call("POST", path, {"type": "shell"}))["id"]
    expect(200, api.call("GET", path))
    ticket = expect(201, api.call("POST", "/ws-tickets"))["ticket"]
    terminal = f"/api/v1/sessions/{made}/terminal?ticket={ticket}"
    assert api.ask("GET", terminal) == 426, "a plain request is no handshake"
    assert api.ask("GET", terminal) == 401, "a ticket works once"
    expect(204, api.call("DELETE", f"/sessions/{made}"))


def ask_for_extensions(stack: Stack) -> None:
    """Ask for an extension twice, and for its removal: without an agent nothing comes of it."""
    api, path = stack.api, f"/environments/{stack.kept['one']}/extensions"
    for _ in range(2):
        made = expect(202, api.call("POST", path, {"id": "nobody.nothing@1.0.0"}))["id"]
    assert expect(200, api.call("GET", path))["items"][0]["state"] == "pending"
    assert expect(202, api.call("DELETE", f"{path}/{made}"))["state"] == "uninstalling"


class Act:
    """Asks for an action on an environment that an earlier step has kept by its name."""

    def __init__(self, name: str, action: str, status: int, body: dict[str, object]) -> None:
        self._name, self._action, self._status, self._body = name, action, status, body

    def __call__(self, stack: Stack) -> None:
        path = f"/environments/{stack.kept[self._name]}"
        verb, _, action = self._action.rpartition(" ")
        path += f"/{action}" if action else ""
        expect(self._status, stack.api.call(verb or "POST", path, self._body or None))


STEPS = (
    Step("creation", create, moves(token(2), environments(stopped=2))),
    Step(
        "first start",
        act("one", "start"),
        moves(token(), FIRST_START, started(success=1), environments(stopped=-1, running=1)),
    ),
    Step("start of what runs", act("one", "start", 409), token()),
    # Each looks before, and after what it did.
    Step("restart", act("one", "restart"), moves(token(), docker(inspect=3, restart=1, exec=1))),
    Step(
        "pause",
        act("one", "pause"),
        moves(token(), docker(inspect=2, pause=1), environments(running=-1, paused=1)),
    ),
    Step(
        "unpause",
        act("one", "unpause"),
        moves(token(), docker(inspect=2, unpause=1), environments(running=1, paused=-1)),
    ),
    Step(
        "limits",
        act("one", "PATCH ", cpu_limit=0.5),
        moves(token(), docker(inspect=1, update=1)),
    ),
    Step("measured use", act("one", "GET stats"), moves(token(), docker(stats=1))),
    Step(
        "stop",
        act("one", "stop"),
        moves(token(), docker(inspect=2, stop=1), environments(running=-1, stopped=1)),
    ),
    # The container is there: no image is looked for, and nothing made.
    Step(
        "second start",
        act("one", "start"),
        moves(
            token(),
            docker(inspect=3, start=1, exec=1),
            started(success=1),
            environments(stopped=-1, running=1),
        ),
    ),
    Step(
        "session",
        use_a_session,
        moves(
            token(4),
            auth("websocket", success=1, failure=1),
            docker(exec=2),
            sessions("shell", terminated=1),
        ),
    ),
    Step("extensions that wait", ask_for_extensions, token(4)),
    Step(
        "start without an image",
        act("never", "start", 422),
        moves(token(), docker(inspect=1), started(user_error=1), environments(stopped=-1, error=1)),
    ),
    Step(
        "removal of what has no container",
        act("never", "DELETE ", 204),
        moves(token(), docker(ping=1, remove=1, volume=1), environments(error=-1)),
    ),
    Step(
        "removal of what runs",
        act("one", "DELETE ", 204),
        moves(
            token(),
            docker(inspect=2, remove=1, volume=1),
            environments(running=-1),
            sessions("shell", terminated=-1),
        ),
    ),
)
