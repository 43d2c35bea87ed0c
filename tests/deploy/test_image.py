"""The Docker image, as far as it can be judged without building it."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml

from app._version import __version__
from app.core.settings import Settings, environment_name
from app.wiring import load_settings
from tests.backends.programs import free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """Return the Dockerfile as (instruction, arguments), with comments and line ends removed."""
    code = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", "", code).splitlines()
    split = [line.partition(" ") for line in lines if line]
    return [(keyword, arguments.strip()) for keyword, _, arguments in split]


def last_stage() -> list[Instruction]:
    """Return the instructions that make the image itself."""
    found = instructions()
    starts = [index for index, (keyword, _) in enumerate(found) if keyword == "FROM"]
    return found[starts[-1] :]


def arguments_of(keyword: str) -> str:
    """Return the arguments of the last such instruction of the image."""
    return [arguments for key, arguments in last_stage() if key == keyword][-1]


def test_builds_from_one_base_without_foreign_frontend_or_registry() -> None:
    bases = {arguments.split()[0] for keyword, arguments in instructions() if keyword == "FROM"}
    assert len(bases) == 1
    assert "/" not in bases.pop()
    assert "syntax=" not in DOCKERFILE


def test_runs_as_a_fixed_user_who_is_not_root() -> None:
    user, group = arguments_of("USER").split(":")
    assert int(user) > 999
    assert int(group) > 999


def test_image_installs_no_build_tools() -> None:
    commands = " ".join(arguments for keyword, arguments in last_stage() if keyword == "RUN")
    assert not re.search(r"\b(apt-get|apt|pip|gcc|make)\b", commands)


def test_starts_the_web_process_of_the_procfile_as_process_1() -> None:
    processes = dict(
        line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if line
    )
    assert json.loads(arguments_of("CMD")) == shlex.split(processes["web"])
    assert arguments_of("STOPSIGNAL") == "SIGTERM"


def test_copies_only_what_exists_and_is_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    for keyword, arguments in instructions():
        if keyword == "COPY" and "--from" not in arguments:
            for source in arguments.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source.partition('/')[0]}" in ignore


def test_labels_say_what_it_is_by_build_arguments_that_may_be_left_out() -> None:
    labels = dict(pair.split("=", 1) for pair in shlex.split(arguments_of("LABEL")))
    named = {name.removeprefix("org.opencontainers.image."): text for name, text in labels.items()}
    given = {name: value[1:] for name, value in named.items() if value.startswith("$")}
    assert given == {"version": "VERSION", "revision": "REVISION", "created": "CREATED"}
    assert {named["title"], named["description"]} == {
        "VibeBox",
        metadata("vibebox")["Summary"],
    }
    declared = {text for keyword, text in last_stage() if keyword == "ARG"}
    assert declared == {f'{argument}=""' for argument in given.values()}


def test_make_passes_every_build_argument_with_the_version_of_the_package(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    docker.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    ran = subprocess.run(
        ["make", "--silent", "image", "IMAGE_SOURCE=https://code.example/vibebox"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    told = ran.stdout.splitlines()
    declared = {text.split("=")[0] for keyword, text in last_stage() if keyword == "ARG"}
    passed = dict(one.split("=", 1) for one in told if one.split("=")[0] in declared)
    assert passed["VERSION"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", passed["REVISION"])
    assert datetime.fromisoformat(passed["CREATED"]).tzinfo is not None
    assert {
        f"vibebox:{__version__}",
        "org.opencontainers.image.source=https://code.example/vibebox",
    } <= (set(told))
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert set(compose["x-vibebox"]["build"]["args"]) == declared == set(passed)


def test_image_carries_the_list_of_its_parts_and_not_what_writes_it() -> None:
    copied = {
        text.split()[-1]: text.split()[1]
        for key, text in last_stage()
        if key == "COPY" and "--from" in text
    }
    assert copied["/usr/share/doc/vibebox/sbom.cdx.json"] == "/build/sbom.cdx.json"
    assert set(copied.values()) == {"/opt/vibebox", "/build/sbom.cdx.json"}


def test_environment_of_the_image_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {environment_name(key, field) for key, field in Settings.model_fields.items()}
    for pair in shlex.split(arguments_of("ENV")):
        key, _, value = pair.partition("=")
        if key in known:
            monkeypatch.setenv(key, value)
    settings = load_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", int(arguments_of("EXPOSE")))
    # Both absolute: the user owns nothing in the directory in which the server starts.
    assert settings.database_url.startswith("sqlite:////")
    assert settings.prometheus_multiproc_dir.startswith("/")


class Live(BaseHTTPRequestHandler):
    """Is live, and nothing else; `status` is what it then answers."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health/live" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


class Stuck(Live):
    """Answers that it is not well."""

    status = 503


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Port of a server with the handler that the test names."""
    with HTTPServer(("127.0.0.1", 0), request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def health_check(port: int) -> int:
    """Run the command of HEALTHCHECK as Docker would; return its exit code."""
    _, _, command = arguments_of("HEALTHCHECK").partition("CMD ")
    _, *arguments = json.loads(command)
    # A proxy that is not there: asking it fails.
    env = {"PATH": os.environ["PATH"], "PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    ran = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, check=False)
    return ran.returncode


@pytest.mark.parametrize("port", [Live], indirect=True, ids=["live"])
def test_health_check_passes_on_the_port_of_the_environment(port: int) -> None:
    assert health_check(port) == 0


@pytest.mark.parametrize("port", [Stuck], indirect=True, ids=["stuck"])
def test_health_check_fails_on_an_error(port: int) -> None:
    assert health_check(port) == 1


def test_health_check_fails_where_nobody_listens() -> None:
    assert health_check(free_port()) == 1
