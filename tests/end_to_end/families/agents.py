"""What the agent sees, counts, stores and pulls; it runs from the first of these steps on."""

import socket
from collections import Counter
from functools import partial
from typing import Any

from tests.backends.code_server import package
from tests.backends.programs import wait_until
from tests.end_to_end.counters import shown
from tests.end_to_end.families.accounts import expect
from tests.end_to_end.families.environments import FIRST_START, act
from tests.end_to_end.families.moves import (
    STATEMENTS,
    checked,
    docker,
    ended,
    environments,
    installed,
    moves,
    series,
    started,
    token,
    up,
    written,
)
from tests.end_to_end.families.stack import Stack, Step

DIED = environments(running=-1, error=1)


def new(name: str, **fields: Any) -> "New":
    return New(name, fields)


class New:
    """Creates an environment, to be known to later steps by its name."""

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self._name, self._fields = name, fields

    def __call__(self, stack: Stack) -> None:
        fields = {"image": stack.engine.busybox, **self._fields}
        stack.kept[self._name] = stack.api.create(self._name, **fields)


def new_and_started(stack: Stack) -> None:
    new("two", memory_limit_mb=32)(stack)
    act("two", "start")(stack)


def container(stack: Stack, name: str = "two") -> str:
    return f"vibebox-{stack.kept[name]}"


def type_into(stack: Stack, line: str, name: str = "two") -> None:
    """Give the shell that is the container's first process a line to read."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(stack.engine.socket_path)
        path = f"/containers/{container(stack, name)}/attach?stdin=1&stream=1"
        headers = "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        connection.sendall(f"POST {path} HTTP/1.1\r\n{headers}\r\n".encode())
        assert b" 101 " in connection.recv(4096)
        connection.sendall(f"{line}\n".encode())


def pause_what_cannot_be_mended(stack: Stack) -> None:
    """Hold the record while its container is paused: until it is let go, exactly one differs."""
    with stack.held("SELECT 1 FROM environments FOR UPDATE"):
        stack.raw.pause(container(stack))
        wait_until(lambda: shown(stack.server, "vibebox_environment_drift") == 1, 2)
    wait_until(lambda: shown(stack.server, "vibebox_environment_drift") == 0, 20)


def push(stack: Stack) -> None:
    """Have an image that only the registry holds, and environments of images that nobody holds."""
    image = stack.registry.push(stack.raw, stack.engine.busybox, "families/box", "1")
    new("pulled", image=image)(stack)
    new("absent", image=f"{stack.registry.address}/families/none:1")(stack)
    new("lost", image="127.0.0.1:1/families/none:1")(stack)


def extensions(stack: Stack) -> str:
    return f"/environments/{stack.kept['two']}/extensions"


def upload(stack: Stack) -> None:
    """Ask for an extension where there is no VS Code server."""
    made = expect(202, stack.api.call("POST", f"{extensions(stack)}/upload", package()))
    stack.kept["extension"] = made["id"]


def upload_again(stack: Stack) -> None:
    """Ask for it again, of a program that says yes to everything."""
    program = "printf '#!/bin/sh\\n' >/bin/code-server; chmod +x /bin/code-server"
    made = stack.raw.exec_create(container(stack), ["sh", "-c", program])
    stack.raw.exec_start(made["Id"])
    upload(stack)


def remove_extension(stack: Stack) -> None:
    expect(202, stack.api.call("DELETE", f"{extensions(stack)}/{stack.kept['extension']}"))


def read_logs(stack: Stack) -> None:
    """Read what was stored: whoever reads it, and however often, counts nothing."""
    for _ in range(2):
        page = expect(200, stack.api.call("GET", f"/environments/{stack.kept['two']}/logs"))
        assert [item["line"] for item in page["items"]] == ["out", "more", "err", "out"]


STEPS = (
    Step(
        "container without an agent",
        new_and_started,
        moves(token(2), FIRST_START, started(success=1), environments(running=1)),
    ),
    # It follows the events, sweeps before and after it does, finds the one that runs and its log;
    # and counts what ended while there was none: by restart, stop and removal. Of each run it asks
    # once which programs for sessions there are.
    Step(
        "agent",
        lambda stack: stack.agent.start(),
        moves(docker(events=1, list=2, volume=2, logs=1, exec=1), ended(user=3)),
        looks=True,
        # The three exits are marked by one statement with three sets of values.
        batched=Counter({series(STATEMENTS, model="container_exits", operation="update"): 2}),
    ),
    Step(
        "probe of the agent",
        lambda stack: stack.api.ask("GET", "/health/ready"),
        moves(
            checked("database", "docker", "agent", "disk"), docker(ping=1), up("agent", 1, "false")
        ),
    ),
    Step(
        "lines",
        lambda stack: type_into(stack, "echo out; echo more; sleep 0.2; echo err >&2"),
        written(stdout=2, stderr=1),
        looks=True,
    ),
    # Of a container whose place in the log is known.
    Step("more lines", lambda stack: type_into(stack, "echo out"), written(stdout=1), looks=True),
    Step("lines that are read", read_logs, token(2)),
    # It ends what an earlier attempt left, asks who it is there, and runs the command.
    Step(
        "extension without a server",
        upload,
        moves(token(), docker(exec=3, update=1), installed(failure=1)),
        looks=True,
    ),
    Step(
        "extension",
        upload_again,
        moves(token(), docker(exec=3, update=1), installed(success=1)),
        looks=True,
    ),
    Step(
        "removal of an extension",
        remove_extension,
        moves(token(), docker(exec=3)),
        looks=True,
    ),
    Step(
        "pause from outside",
        pause_what_cannot_be_mended,
        environments(running=-1, paused=1),
        looks=True,
    ),
    Step(
        "unpause from outside",
        lambda stack: stack.raw.unpause(container(stack)),
        environments(running=1, paused=-1),
        looks=True,
    ),
    # The reader of its log looks once more when the log ends, and at the next start from anew.
    Step(
        "kill from outside",
        lambda stack: stack.raw.kill(container(stack)),
        moves(DIED, ended(killed=1)),
        looks=True,
    ),
    *(
        step
        for line, reason, moved in (
            ("exec tail /dev/zero", "oom", DIED),
            ("exit 3", "error", DIED),
            ("exit 0", "completed", environments(running=-1, stopped=1)),
        )
        for step in (
            Step(
                f"start before {reason}",
                lambda stack: stack.raw.start(container(stack)),
                moves(docker(logs=1, exec=1), environments(running=1, error=-1)),
                looks=True,
            ),
            Step(
                reason,
                partial(type_into, line=line),
                moves(moved, ended(**{reason: 1})),
                looks=True,
            ),
        )
    ),
    Step("images elsewhere", push, moves(token(3), environments(stopped=3))),
    Step(
        "pull",
        act("pulled", "start?wait=60"),
        moves(
            token(),
            docker(pull=1, volume=1, create=1, start=1, exec=2, logs=1),
            started(success=1),
            environments(stopped=-1, running=1),
        ),
        looks=True,
    ),
    Step(
        "pull of what is not there",
        act("absent", "start?wait=60", 422),
        moves(token(), docker(pull=1), started(user_error=1), environments(stopped=-1, error=1)),
        looks=True,
    ),
    Step(
        "pull from nowhere",
        act("lost", "start?wait=60", 422),  # whoever names a registry answers for it
        moves(token(), docker(pull=1), started(user_error=1), environments(stopped=-1, error=1)),
        looks=True,
    ),
)
