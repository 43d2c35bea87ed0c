"""Logins, tokens and API keys at a real service, by commands that are processes of their own."""

import json
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.backends.fault_proxy import FaultProxy
from tests.backends.programs import free_port
from tests.backends.web import WebServer
from tests.cli.support import PASSWORD, Person

pytestmark = pytest.mark.end_to_end
People = Callable[..., Person]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with WebServer(tmp_path_factory.mktemp("accounts")) as server:
        yield server


@pytest.fixture
def email() -> str:
    """An address that nobody has used."""
    return f"{uuid.uuid4().hex[:12]}@example.org"


@pytest.fixture
def ada(person: People, email: str) -> Person:
    """Somebody who is logged in."""
    ada = person()
    ada.login(email, "--register")
    return ada


def test_login_lasts_until_logout(person: People, email: str) -> None:
    ada = person()
    assert "`vibebox login`" in ada.refused(1, "whoami")

    said = ada.login(email, "--register")
    assert said.stderr == f"Logged in at {ada.url} as {email}.\n" and said.stdout == ""
    assert stat.S_IMODE(ada.file.stat().st_mode) == 0o600
    assert PASSWORD not in ada.file.read_text()
    assert ada.json("whoami")["email"] == email
    assert email in ada.good("whoami").stdout

    token = ada.good("token").stdout.strip()
    assert token.startswith("vbx_at_")
    ada.good("logout")
    assert token not in ada.file.read_text()
    assert "You are not logged in" in ada.refused(1, "whoami")
    assert "not valid" in ada.refused(1, "whoami", VIBEBOX_TOKEN=token)
    assert "not logged in" in ada.good("logout").stderr


def test_password_is_changed_and_logins_end(ada: Person, person: People, email: str) -> None:
    elsewhere = person("elsewhere")
    elsewhere.login(email)
    third = person("third")
    third.login(email)
    assert re.search(r"^\w{8} +this one +127.0.0.1 ", ada.good("logins", "ls").stdout, re.M)
    (theirs,) = [one for one in third.json("logins", "ls")["items"] if one["current"]]
    ada.good("logins", "end", theirs["id"][:8])
    assert "Your login" in third.refused(1, "ls")
    assert "no one login" in ada.refused(1, "logins", "end", "nix")
    assert "--others" in ada.refused(2, "logins", "end")
    change = ("password", "--password-stdin")
    said = ada.refused(1, *change, stdin=f"wrong\n{PASSWORD} 2\n")
    assert said.startswith("Error: old_password: ")
    assert "at least 12" in ada.refused(1, *change, stdin=f"{PASSWORD}\nshort\n")
    assert "no terminal" in ada.refused(2, "password")
    ada.good(*change, stdin=f"{PASSWORD}\n{PASSWORD} 2\n")
    assert "Your login" in elsewhere.refused(1, "ls")
    assert len(ada.json("logins", "ls")["items"]) == 1
    elsewhere.good("login", "--email", email, "--password-stdin", stdin=f"{PASSWORD} 2\n")
    assert elsewhere.good("logins", "end", "--others").stderr.startswith("All your other logins")
    assert "Your login" in ada.refused(1, "ls")


def test_refused_logins_name_the_next_step(ada: Person, email: str) -> None:
    wrong = ada.refused(1, "login", "--email", email, "--password-stdin", stdin="not it\n")
    assert "vibebox login --register" in wrong
    again = ada.refused(
        1, "login", "--register", "--email", email, "--password-stdin", stdin=f"{PASSWORD}\n"
    )
    assert "without --register" in again
    short = ada.refused(
        1, "login", "--register", "--email", "x", "--password-stdin", stdin="short\n"
    )
    assert "--email: Enter an e-mail address" in short
    assert "password: Use at least 12 characters." in short
    assert "--password-stdin" in ada.refused(2, "login", "--email", email)
    assert ada.json("whoami")["email"] == email


def refreshes(server: WebServer) -> dict[str, float]:
    return {
        status: server.metric("vibebox_auth_attempts_total", method="refresh", status=status)
        for status in ("success", "failure")
    }


@pytest.fixture
def slow(
    tmp_path: Path, server: WebServer, fault_proxy: Callable[..., FaultProxy], email: str
) -> Person:
    """Somebody for whom each answer takes longer than it takes another command to ask as well."""
    proxy = fault_proxy(("127.0.0.1", server.port))
    slow = Person(tmp_path / "slow", f"http://127.0.0.1:{proxy.port}")
    slow.login(email, "--register")
    proxy.latency = 0.5
    return slow


@pytest.mark.parametrize(
    "stored",
    [{"expires_at": 0.0}, {"access_token": "vbx_at_ended"}],
    ids=["expired by the clock", "refused by the service"],
)
def test_two_commands_at_once_refresh_once(
    slow: Person, server: WebServer, stored: dict[str, object]
) -> None:
    ada = slow
    before = refreshes(server)
    old = ada.stored()
    ada.change_stored(**stored)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: ada.run("whoami", "--json"), range(4)))

    assert [result.returncode for result in results] == [0, 0, 0, 0], results
    assert refreshes(server) == {**before, "success": before["success"] + 1}
    assert ada.stored()["refresh_token"] != old["refresh_token"]
    assert stat.S_IMODE(ada.file.stat().st_mode) == 0o600
    # The login lives: nobody has used a refresh token twice.
    ada.change_stored(expires_at=0.0)
    ada.good("whoami")


def test_login_that_is_over_says_so(ada: Person) -> None:
    ada.change_stored(access_token="vbx_at_ended", refresh_token="vbx_rt_ended")

    said = ada.refused(1, "ls")

    assert f"Your login at {ada.url} is over." in said and "Run `vibebox login`." in said


def test_token_is_good_for_some_minutes(ada: Person, server: WebServer) -> None:
    before = refreshes(server)["success"]
    first = ada.good("token").stdout
    assert ada.good("token").stdout == first
    assert refreshes(server)["success"] == before

    soon = ada.stored()["expires_at"] - 700  # of 900 seconds
    ada.change_stored(expires_at=soon)
    assert ada.good("token").stdout != first
    assert refreshes(server)["success"] == before + 1


def test_api_key_does_without_a_login(ada: Person, person: People) -> None:
    arguments = ("token", "create", "ci", "--scope", "read", "--expires", "30d")
    key = ada.good(*arguments).stdout.strip()
    assert key.startswith("vbx_ak_")
    assert "API key name is taken" in ada.refused(1, *arguments)
    (listed,) = ada.json("token", "ls")["items"]
    assert (listed["name"], listed["scopes"]) == ("ci", ["read"])
    assert re.search(r"^ci +vbx_ak_.* read .* in (29|30)d", ada.good("token", "ls").stdout, re.M)

    robot = person("robot", VIBEBOX_TOKEN=key)
    seen, own = robot.json("whoami"), ada.json("whoami")
    assert set(seen.pop("may")) < set(own.pop("may"))
    assert seen == own
    assert robot.good("token").stdout.strip() == key
    assert not robot.file.exists()
    denied = robot.refused(1, "create", "x", "--image", "busybox")
    assert denied.startswith("Error: You may not do this. This API key lacks the scope 'write';")
    assert "VIBEBOX_TOKEN" in robot.refused(2, "logout")

    ada.good("token", "revoke", "ci")
    assert ada.json("token", "ls")["items"] == []
    assert "no API key 'ci'" in ada.refused(1, "token", "revoke", "ci")
    assert "VIBEBOX_TOKEN" in robot.refused(1, "whoami")


def test_group_and_its_commands_take_one_address(ada: Person) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert ada.run("token", "--url", ada.url, "ls", VIBEBOX_URL="").returncode == 0
    assert nowhere in ada.refused(1, "token", "--url", nowhere, "ls", VIBEBOX_URL="")


def test_unreachable_service_names_the_next_step(ada: Person) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    said = ada.refused(2, "ls", "--url", nowhere, VIBEBOX_TOKEN="vbx_ak_x")

    assert said == (
        f"Error: No VibeBox answers at {nowhere}.\n"
        "  Start it with `vibebox run`, or name its address with --url or VIBEBOX_URL.\n"
    )
    assert "--url" in ada.refused(2, "ls", "--url", "127.0.0.1:3000")


class _Stranger(BaseHTTPRequestHandler):
    """Some other program's page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_arguments: object) -> None:
        pass


def test_stranger_is_no_vibebox(ada: Person) -> None:
    with HTTPServer(("127.0.0.1", 0), _Stranger) as stranger:
        thread = Thread(target=stranger.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{stranger.server_port}"
            said = ada.refused(2, "ls", "--url", url, VIBEBOX_TOKEN="vbx_ak_x")
        finally:
            stranger.shutdown()
            thread.join()
    assert "it is not VibeBox" in said and "VIBEBOX_URL" in said


def test_login_asks_without_showing_the_password(ada: Person, email: str) -> None:
    """On a terminal, which a pseudo-terminal is."""
    ada.file.unlink()
    child, terminal = os.forkpty()
    if child == 0:  # pragma: no cover
        from tests.cli.support import COMMAND

        os.execve(COMMAND[0], [*COMMAND, "login"], ada.env)
    shown = ""
    try:
        for question, answer in (("E-mail address: ", email), ("Password: ", PASSWORD)):
            while question not in shown:
                shown += os.read(terminal, 1024).decode()
            os.write(terminal, f"{answer}\n".encode())
        while "Logged in" not in shown:
            shown += os.read(terminal, 1024).decode()
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    assert PASSWORD not in shown
    assert ada.json("whoami")["email"] == email


def test_client_variables_do_not_stop_the_service(ada: Person, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/x.db"
    assert ada.run("migrate", DATABASE_URL=database, VIBEBOX_TOKEN="x").returncode == 0
    assert "VIBEBOX_TOKENS" in ada.refused(2, "migrate", DATABASE_URL=database, VIBEBOX_TOKENS="x")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(ada: Person, shell: str) -> None:
    assert "_VIBEBOX_COMPLETE" in ada.good("completion", shell).stdout


def completed(person: Person, *words: str, **env: str) -> list[str]:
    """Return what the shell is offered for the last of the words."""
    line = ["vibebox", *words]
    result = person.run(
        _VIBEBOX_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(line),
        COMP_CWORD=str(len(line) - 1),
        **env,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return [text.partition(",")[2] for text in result.stdout.splitlines() if text]


def test_completion_lists_names(ada: Person) -> None:
    for name in ("api-one", "api-two", "web"):
        ada.good("create", name, "--image", "busybox")

    assert completed(ada, "start", "api") == ["api-one", "api-two"]
    ada.change_stored(expires_at=0.0, access_token="vbx_at_ended")
    assert completed(ada, "logs", "w") == ["web"]
    assert {"start", "stop", "stats"} <= set(completed(ada, "st"))

    nowhere = f"http://127.0.0.1:{free_port()}"
    assert completed(ada, "start", "--url", nowhere, "api") == []
    assert completed(ada, "start", "api", VIBEBOX_URL=nowhere) == []
    ada.file.write_text("{")
    assert completed(ada, "start", "api") == []


def test_records_are_made_listed_and_removed(ada: Person) -> None:
    assert ada.json("ls")["items"] == []
    made = json.loads(
        ada.good(
            "create", "api", "--template", "python", "--cpus", "0.5", "--memory", "1g", "--env",
            "A=b", "--port", "8000", "--port", "5353:53/udp", "--pull", "never", "--expires", "8h",
            "--json",
        ).stdout
    )  # fmt: skip
    assert (made["cpu_limit"], made["memory_limit_mb"], made["pull"]) == (0.5, 1024, "never")
    assert made["env"]["A"] == "b"
    assert [(port["container_port"], port["host_port"]) for port in made["ports"]] == [
        (8000, None),
        (53, 5353),
    ]
    ada.good("create", "web", "--image", "busybox", "--project", "personal")

    listed = ada.json("ls", "--status", "stopped", "--project", "personal")
    assert [item["name"] for item in listed["items"]] == ["web", "api"]
    assert ada.json("ls", "--status", "running")["items"] == []
    heading, web, api = ada.good("ls").stdout.splitlines()
    assert heading.split()[:3] == ["NAME", "STATUS", "IMAGE"]
    assert web.split()[:3] == ["web", "stopped", "busybox"]
    assert "5353:53/udp" in api and re.search(r"in [78]h", api) and api.endswith(made["id"][:8])

    for wanted in ("api", "personal/api", made["id"], made["id"][:8]):
        assert ada.json("show", wanted)["id"] == made["id"]
    assert re.search(r"^Memory +1024 MiB$", ada.good("show", "api").stdout, re.M)
    assert "`vibebox ls`" in ada.refused(1, "show", "nothing")
    assert "`vibebox ls`" in ada.refused(1, "create", "api", "--image", "busybox")
    assert "--template" in ada.refused(2, "create", "other")
    assert "no project 'none'" in ada.refused(1, "ls", "--project", "none")

    assert ada.json("quota")["used"]["environments"] == 2
    assert re.search(r"^environments +2 +\d+", ada.good("quota").stdout, re.M)
    assert "python" in {item["name"] for item in ada.json("templates")["items"]}
    assert "python" in ada.good("templates").stdout
    assert [item["name"] for item in ada.json("projects", "ls")["items"]] == ["personal"]
    assert "personal" in ada.good("projects", "ls").stdout
    assert ada.json("teams", "ls")["items"] == []

    assert "--yes" in ada.refused(2, "rm", "api")
    ada.good("rm", "api", "--yes")
    assert [item["name"] for item in ada.json("ls")["items"]] == ["web"]


def test_who_hears_of_no_alerts_says_so(person: Callable[..., Person]) -> None:
    ada = person("ada")
    ada.login("alerts@example.org", "--register")
    told = ada.good("alerts", "ls")
    assert told.stdout == "" and "No alerts: Neither VIBEBOX_ALERTS_TOKEN" in told.stderr
