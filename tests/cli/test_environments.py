"""Environments in real containers, by commands that are processes of their own."""

import io
import json
import os
import re
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from app.domain.secrets.values import new_key
from tests.backends.agent import Agent
from tests.backends.code_server import package
from tests.backends.docker_engine import DockerEngine
from tests.backends.programs import wait_until
from tests.backends.registry import Registry
from tests.backends.web import WebServer
from tests.cli.support import COMMAND, Person
from tests.conftest import WebServerFactory
from tests.engine.images import commit

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(240)]
MIB = 2**20
People = Callable[..., Person]
COUNTING = """
i=0
while [ $i -lt 2000 ]; do
    i=$((i+1)); echo "line $i"
    [ $((i % 5)) -ne 0 ] || echo "Warning $i" >&2
    sleep 0.1
done
"""


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine
) -> Iterator[WebServer]:
    env = {
        "DOCKER_HOST": docker_engine.host,
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_SECRET_KEYS": new_key(),
    }
    with WebServer(tmp_path_factory.mktemp("environments"), env) as server:
        agent = Agent.beside(server).start()
        yield server
        agent.close()
    docker_engine.clear()


@pytest.fixture
def ada(person: People, docker_engine: DockerEngine) -> Iterator[Person]:
    """Somebody who is logged in."""
    ada = person()
    ada.login(f"{uuid.uuid4().hex[:12]}@example.org", "--register")
    yield ada
    docker_engine.clear()


def shell(docker_engine: DockerEngine, environment: str, command: str) -> str:
    client: Any = docker_engine.client()
    made = client.exec_create(f"vibebox-{environment}", ["sh", "-c", command])
    return str(client.exec_start(made["Id"]).decode())


def test_life_of_an_environment(ada: Person, docker_engine: DockerEngine) -> None:
    created = ada.good(
        "create", "api", "--image", docker_engine.busybox, "--port", "8000", "--secret", "ONE",
        "--secret", "TWO", "--memory", "64m", "--start", stdin="first\nsecond\n",
    )  # fmt: skip
    assert "api is created." in created.stderr
    assert re.search(r"^api is running \(ports \d+:8000\)\.$", created.stderr, re.M)
    environment = ada.json("show", "api")
    assert environment["secret_names"] == ["ONE", "TWO"]
    assert shell(docker_engine, environment["id"], "echo $ONE $TWO") == "first second\n"
    assert re.search(r"^Ports +\d+:8000$", ada.good("show", "api").stdout, re.M)

    used = ada.json("stats", "api")
    assert 0 < used["memory_bytes"] < used["memory_limit_bytes"] == 64 * MIB
    assert re.search(r"^Memory +[\d.]+ [KM]iB of 64\.0 MiB", ada.good("stats", "api").stdout, re.M)

    for command, status in (
        ("pause", "paused"),
        ("unpause", "running"),
        ("restart", "running"),
        ("stop", "stopped"),
        ("start", "running"),
    ):
        assert ada.json(command, "api")["status"] == status
    assert ada.good("start", "api").stderr == "api is running already.\n"
    assert ada.good("stop", "api").stderr == "api is stopped.\n"
    assert ada.good("stop", "api").stderr == "api is stopped already.\n"
    assert "vibebox stop" in ada.refused(1, "unpause", "api")
    ada.good("rm", "api", "--yes")
    assert ada.json("ls")["items"] == []


def test_environment_is_edited(ada: Person, docker_engine: DockerEngine) -> None:
    ada.good(
        "create", "api", "--image", docker_engine.busybox, "--memory", "64m", "--env", "A=1",
        "--env", "B=2", "--secret", "KEY", "--port", "8000", "--expires", "1h", "--start",
        stdin="first",
    )  # fmt: skip
    assert ada.good("edit", "api", "--memory", "80m", "--no-expiry").stderr == "api is changed.\n"
    assert "stop" in ada.refused(1, "edit", "api", "--env", "A=3")
    assert "--memory: Enter a number of at least 16." in ada.refused(
        1, "edit", "api", "--memory", "1"
    )
    ada.good("stop", "api")
    ada.good(
        "edit", "api", "--name", "web", "--env", "A=3", "--unset", "B", "--unset", "KEY",
        "--secret", "OTHER", "--port", "9000", "--port", "53/udp", stdin="second",
    )  # fmt: skip
    changed = ada.json("show", "web")
    assert (changed["memory_limit_mb"], changed["expires_at"]) == (80, None)
    assert (changed["env"], changed["secret_names"]) == ({"A": "3"}, ["OTHER"])
    assert [port["container_port"] for port in changed["ports"]] == [9000, 53]
    shown = ada.good("show", "web").stdout
    assert re.search(r"^Yours to +change, delete, start and stop, ", shown, re.M)
    assert "Name what to change" in ada.refused(2, "edit", "web")
    assert "no variable NONE" in ada.refused(2, "edit", "web", "--unset", "NONE")
    assert "--no-ports" in ada.refused(2, "edit", "web", "--port", "1", "--no-ports")


@pytest.mark.full
def test_people_share_projects(ada: Person, person: People, docker_engine: DockerEngine) -> None:
    team, email = f"t-{uuid.uuid4().hex[:8]}", f"{uuid.uuid4().hex[:12]}@example.org"
    bob = person("bob")
    bob.login(email, "--register")
    said = ada.refused(1, "teams", "create", "My Team")
    assert "NAME: Use lower-case letters, digits and hyphens" in said
    assert "admin" in ada.good("teams", "create", team).stderr
    ada.good("projects", "create", "shared", "--team", team)
    ada.good("members", "add", team, email, "--role", "viewer")
    assert re.search(rf"^{email} +viewer ", ada.good("members", "ls", team).stdout, re.M)
    ada.good("create", "api", "--image", docker_engine.busybox, "--project", "shared")
    assert "As viewer you may not" in bob.refused(1, "start", "api")
    assert bob.json("show", "api")["may"] == ["environment.read"]
    ada.good("members", "role", team, email.upper(), "developer")
    bob.good("edit", "api", "--cpus", "0.5")
    ada.good("projects", "rename", "shared", "ours")
    bob.good("rm", "ours/api", "--yes")
    ada.good("members", "rm", team, email, "--yes")
    assert "no team" in bob.refused(1, "teams", "leave", team, "--yes")
    assert "no member" in ada.refused(1, "members", "rm", team, email, "--yes")
    assert "add --yes" in ada.refused(2, "projects", "rm", "ours")
    ada.good("projects", "rm", "ours", "--yes")
    ada.good("teams", "rename", team, f"{team}-2")
    ada.good("teams", "rm", f"{team}-2", "--yes")
    assert ada.json("teams", "ls")["items"] == []


def test_secret_of_several_lines(ada: Person, docker_engine: DockerEngine) -> None:
    create = ("create", "api", "--image", docker_engine.busybox, "--start")
    assert "2 lines" in ada.refused(2, *create, "--secret", "A", "--secret", "B", stdin="one\n")
    ada.good(*create, "--secret", "KEY", stdin="first\nsecond\n")

    environment = ada.json("show", "api")["id"]
    assert shell(docker_engine, environment, 'echo "$KEY"') == "first\nsecond\n"


def test_start_that_fails_says_why(ada: Person, docker_engine: DockerEngine) -> None:
    raw: Any = docker_engine.client()
    failing = commit(raw, docker_engine, "echo broken; exit 3")
    ada.good("create", "failing", "--image", failing)
    ada.good("create", "missing", "--image", "none:1", "--pull", "never")

    # Where its command begins only after the look at it, as on a busy machine, it is running then.
    for _ in range(8):
        done = ada.run("start", "failing")
        if done.returncode != 0:
            assert done.returncode == 1 and "`vibebox logs failing`" in done.stderr
            break
        assert "failing is running" in done.stderr
        ada.run("stop", "failing")
    assert "--pull missing" in ada.refused(1, "start", "missing")


@pytest.fixture
def image(docker_engine: DockerEngine, registry: Registry) -> str:
    """An image of the registry with a layer of 8 MiB that the engine does not hold."""
    client: Any = docker_engine.client()
    container = client.create_container(docker_engine.busybox)["Id"]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("filler")
        entry.size = 8 * MIB
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    client.put_archive(container, "/", archive.getvalue())
    client.commit(container, "filled", "1")
    client.remove_container(container)
    name = registry.push(client, "filled:1", f"tools/{uuid.uuid4().hex}", "1")
    client.remove_image("filled:1")
    return name


def test_pull_is_shown_as_lines(ada: Person, image: str, registry: Registry) -> None:
    ada.good("create", "api", "--image", image)

    started = ada.good("start", "api")

    assert f"Pulling {image}: 100 %" in started.stderr
    assert started.stderr.endswith("api is running.\n") and started.stdout == ""
    ada.good("create", "bad", "--image", f"{registry.address}/tools/none:1")
    said = ada.refused(1, "start", "bad")
    assert "Error: The start of bad failed. There is no image" in said


@pytest.mark.full
def test_pull_is_shown_as_a_bar(ada: Person, image: str) -> None:
    """On a terminal, which a pseudo-terminal is."""
    ada.good("create", "api", "--image", image)
    child, terminal = os.forkpty()
    if child == 0:
        os.execve(COMMAND[0], [*COMMAND, "start", "api"], {**ada.env, "TERM": "xterm"})
    shown = ""
    try:
        while "api is running." not in shown:
            shown += os.read(terminal, 4096).decode(errors="replace")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    drawn = re.findall(r"\[(#*)-*\] +(\d+)%", shown)
    assert f"Pulling {image[:10]}" in shown
    assert drawn[-1][1] == "100" and set(drawn[-1][0]) == {"#"}
    assert re.search(r"[\d.]+ MiB of 8\.\d MiB", shown)


@pytest.fixture
def beside(server: WebServer, web_server: WebServerFactory) -> Callable[..., WebServer]:
    """A factory of further servers of the same service, which a test may end."""
    shared = ("DATABASE_URL", "DOCKER_HOST", "VIBEBOX_SECRET_KEYS", "VIBEBOX_STOP_GRACE")
    return lambda **options: web_server({name: server.env[name] for name in shared}, **options)


def test_pull_is_watched_without_a_stream(
    ada: Person, image: str, beside: Callable[..., WebServer]
) -> None:
    other = beside(workers=1, threads=4)
    made = json.loads(ada.good("create", "api", "--image", image, "--json").stdout)
    token = ada.good("token").stdout.strip()
    # The only stream that one account gets of a worker of four threads.
    with requests.get(
        f"{other.url}/api/v1/environments/{made['id']}/events?follow=true",
        headers={"Authorization": f"Bearer {token}"},
        stream=True,
        timeout=60,
    ) as held:
        assert held.status_code == 200
        result = ada.run("start", "api", VIBEBOX_URL=other.url, VIBEBOX_TOKEN=token)

    assert result.returncode == 0, result.stderr
    assert result.stderr.endswith("api is running.\n")
    refused = [line for line in other.log_lines() if line.get("status") == 429]
    assert [line["route"].rpartition("/")[2] for line in refused] == ["events"]


def numbers(text: str) -> list[int]:
    """Return which lines of the counting container were printed."""
    return [int(number) for number in re.findall(r"^line (\d+)$", text, re.M)]


@pytest.fixture
def counting(ada: Person, docker_engine: DockerEngine) -> Person:
    """Somebody with an environment `api` that writes ten lines a second."""
    raw: Any = docker_engine.client()
    ada.good("create", "api", "--image", commit(raw, docker_engine, COUNTING), "--start")
    return ada


def test_logs_are_printed_and_chosen(counting: Person) -> None:
    def written() -> bool:
        return len(numbers(counting.good("logs", "api").stdout)) >= 20

    wait_until(written, 60, 0.2)
    counting.good("stop", "api")
    lines = settled(counting)
    count = len(numbers(lines))
    assert numbers(lines) == list(range(1, count + 1))

    assert counting.good("logs", "api", "--tail", "3").stdout == tail(lines, 3)
    assert counting.good("logs", "api", "--tail", "0").stdout == ""
    assert numbers(counting.good("logs", "api", "--stream", "stderr").stdout) == []
    assert "Warning 5" in counting.good("logs", "api", "--stream", "stderr").stdout
    assert counting.good("logs", "api", "--search", "warning 10").stdout == "Warning 10\n"
    assert counting.good("logs", "api", "--since", "1h").stdout == lines
    assert counting.good("logs", "api", "--since", "2100-01-01T00:00:00Z").stdout == ""
    stamped = counting.good("logs", "api", "-t", "--tail", "1").stdout
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z .*\n", stamped)
    objects = [
        json.loads(line) for line in counting.good("logs", "api", "--json").stdout.splitlines()
    ]
    assert [item["line"] for item in objects] == lines.splitlines()
    assert "--since" in counting.refused(2, "logs", "api", "--since", "lately")


def settled(person: Person) -> str:
    """Return the log once nothing is added to it any more."""
    seen = [""]

    def same() -> bool:
        seen.append(person.good("logs", "api").stdout)
        return seen[-1] == seen[-2] != ""

    wait_until(same, 60, 1.5)
    return seen[-1]


def tail(text: str, count: int) -> str:
    return "".join(text.splitlines(keepends=True)[-count:])


@pytest.mark.full
def test_follow_survives_a_restart_and_ends_at_ctrl_c(
    counting: Person, beside: Callable[..., WebServer]
) -> None:
    other = beside()
    token = counting.good("token").stdout.strip()
    env = {"VIBEBOX_URL": other.url, "VIBEBOX_TOKEN": token}
    with counting.running("logs", "api", "-f", **env) as following:
        following.until("line 10\n")
        other.terminate()
        following.until("does not answer", err=True)
        other.start()
        following.until("answers again", err=True)
        seen = max(numbers(following.stdout))
        following.until(f"line {seen + 20}\n")
        code = following.interrupt()

    assert code == 130
    assert "Traceback" not in following.stderr
    found = numbers(following.stdout)
    assert found == list(range(1, len(found) + 1))
    assert following.stderr.count("does not answer") == 1


@pytest.mark.full
def test_follow_goes_on_behind_a_tail(counting: Person) -> None:
    wait_until(lambda: "line 10\n" in counting.good("logs", "api").stdout, 60, 0.2)
    with counting.running("logs", "api", "-f", "--tail", "2", "--stream", "stdout") as following:
        following.until("line ")
        first = numbers(following.stdout)[0]
        following.until(f"line {first + 30}\n")
        assert following.interrupt() == 130

    found = numbers(following.stdout)
    assert first > 1
    assert found == list(range(first, first + len(found)))


def test_follow_ends_where_the_environment_does(counting: Person) -> None:
    with counting.running("logs", "api", "-f") as following:
        following.until("line 1\n")
        counting.good("rm", "api", "--yes")
        assert following.ended() == 1

    assert "Environment not found" in following.stderr


@pytest.mark.full
def test_name_in_several_projects_is_ambiguous(ada: Person, server: WebServer) -> None:
    team = api(ada, "POST", "/teams", {"name": f"t-{uuid.uuid4().hex[:8]}"})
    body = {"name": "shared", "team_id": team["id"]}
    project = api(ada, "POST", "/projects", body)
    mine = json.loads(ada.good("create", "api", "--image", "busybox", "--json").stdout)
    ada.good("create", "api", "--image", "busybox", "--project", "shared")

    said = ada.refused(1, "show", "api")

    assert f"personal/api  {mine['id']}" in said and "shared/api  " in said
    assert "PROJECT/NAME" in said
    assert ada.json("show", "personal/api")["id"] == mine["id"]
    assert ada.json("show", "shared/api")["project_id"] == project["id"]
    assert [item["name"] for item in ada.json("teams", "ls")["items"]] == [team["name"]]
    assert team["name"] in ada.good("teams", "ls").stdout
    assert re.search(rf"^shared +{team['name']} ", ada.good("projects", "ls").stdout, re.M)
    assert ada.json("quota", "--team", team["name"])["used"]["environments"] == 1


def api(person: Person, method: str, path: str, body: Any) -> Any:
    """Call the API as a script does: with the token that the command prints."""
    token = person.good("token").stdout.strip()
    response = requests.request(
        method,
        f"{person.url}/api/v1{path}",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert response.ok, response.text
    return response.json()


@pytest.mark.full
def test_extensions(ada: Person, docker_engine: DockerEngine, tmp_path: Path) -> None:
    file = tmp_path / "hello.vsix"
    file.write_bytes(package())
    ada.good("create", "api", "--image", docker_engine.busybox)
    assert "`vibebox ext install api ID`" in ada.good("ext", "ls", "api").stderr
    later = ada.good("ext", "install", "api", str(file))
    assert later.stderr == "vibebox.hello is pending when the environment runs.\n"

    ada.good("start", "api")
    failed = ada.refused(1, "ext", "install", "api", "nobody.nothing@1.0.0")
    assert "Exit code 127" in failed and "The image holds no VS Code server" in failed
    program = "printf '#!/bin/sh\\necho $*' >/bin/code-server; chmod +x /bin/code-server"
    shell(docker_engine, ada.json("show", "api")["id"], program)
    installed = ada.json("ext", "install", "api", str(file))
    assert (installed["state"], installed["exit_code"]) == ("installed", 0)
    assert "--install-extension /tmp/vibebox-" in installed["output"]
    listed = ada.good("ext", "ls", "api").stdout
    assert re.search(r"^vibebox.hello +0.0.1 +installed +file +0 ", listed, re.M)
    assert re.search(r"^nobody.nothing +1.0.0 +failed +gallery +127 ", listed, re.M)

    completing = {"COMP_WORDS": "vibebox ext rm api Vibe", "COMP_CWORD": "4"}
    completed = ada.run(**completing, _VIBEBOX_COMPLETE="bash_complete")
    assert completed.stdout == "plain,vibebox.hello\n"
    assert "uninstalling" in ada.good("ext", "rm", "api", "Vibebox.Hello").stderr
    wait_until(lambda: len(ada.json("ext", "ls", "api")["items"]) == 1, 60)
    assert "vibebox ext ls api" in ada.refused(1, "ext", "rm", "api", "vibebox.hello")
    assert "cannot be read" in ada.refused(2, "ext", "install", "api", "none.vsix")
    assert '"container_port": 13337' in ada.refused(1, "vscode", "api")
