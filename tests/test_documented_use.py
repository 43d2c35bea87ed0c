"""What the documents tell people to type, open and expect is what the product has.

Each kind of statement is found by its form, so that a new one is held to the product as well.
"""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
import yaml

from app import create_app
from app.cli.main import main
from app.core.settings import Settings, environment_name

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "deploy").rglob("*.md"),
    *(ROOT / "monitoring").rglob("*.md"),
]
FILES = [
    *DOCUMENTS,
    ROOT / "docker-compose.yml",
    ROOT / "Dockerfile",
    *(ROOT / "deploy").rglob("*.y*ml"),
    *(ROOT / "deploy").rglob("*.conf"),
]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
_BLOCK = re.compile(r"^```(?:sh|console)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_ASSIGNMENT = re.compile(r"^[A-Z_]+=\S*\s+")


def name(path: Path) -> str:
    """Return a readable test id."""
    return str(path.relative_to(ROOT))


def everywhere(files: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files, ids=name)


def shell_lines(text: str) -> Iterator[str]:
    """Yield the commands of a document: of its blocks, and those in a sentence."""
    for block in _BLOCK.findall(text):
        lines = block.replace("\\\n", " ").splitlines()
        # With a prompt, what has none is output.
        typed = [line[2:] for line in lines if line.startswith("$ ")] or lines
        yield from (line.partition("    # ")[0] for line in typed)
    yield from _INLINE.findall(text)


def commands(text: str, program: str) -> set[str]:
    """Return each call of a program, with its arguments, wherever a line or a pipe begins one."""
    found = set()
    for line in shell_lines(text):
        for part in re.split(r"\|\|?|&&|;|\$\(|<\(|\)", line):
            call = part.strip()
            while match := _ASSIGNMENT.match(call):
                call = call[match.end() :]
            if call == program or call.startswith(f"{program} "):
                found.add(call)
    return found


def refusal(call: str) -> str | None:
    """Return why the command line has no such command or option; None where it has."""
    words = shlex.split(call.partition(" > ")[0].replace("…", ""))[1:]
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        # `vibebox ext install|ls|rm` names three.
        names = words.pop(0).split("|")
        if missing := [one for one in names if one not in command.commands]:
            return f"no command {missing}"
        command = command.commands[names[0]]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    unknown = {word.partition("=")[0] for word in words if word.startswith("-")} - {
        *known,
        "--help",
    }
    return f"no option {unknown}" if unknown else None


@everywhere(DOCUMENTS)
def test_commands_of_vibebox_are_known(path: Path) -> None:
    calls = commands(path.read_text(), "vibebox")
    assert {call: why for call in calls if (why := refusal(call))} == {}


def test_commands_are_found_in_blocks_pipes_and_sentences() -> None:
    text = (
        "Run `vibebox nonsense`.\n```\n$ A=b vibebox ls --all | vibebox rm x && vibebox ls\n```\n"
    )
    calls = commands(text, "vibebox")
    assert calls == {"vibebox nonsense", "vibebox ls --all", "vibebox rm x", "vibebox ls"}
    assert {call for call in calls if refusal(call)} == {"vibebox nonsense", "vibebox ls --all"}


@everywhere(DOCUMENTS)
def test_targets_of_make_are_known(path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = {call.split()[1] for call in commands(path.read_text(), "make") if " " in call}
    assert named <= set(targets)


@everywhere(DOCUMENTS)
def test_modules_that_are_run_are_there(path: Path) -> None:
    named = set(re.findall(r"\bpython3? -m ([\w.]+)", path.read_text()))
    outside = {"honcho", "gunicorn", "pip", "venv", "http.server"}
    assert [module for module in named - outside if find_spec(module) is None] == []


@cache
def rules() -> dict[str, set[str]]:
    """Return the methods of each route; what stands for a part of the path is `*`."""
    app = create_app(Settings(database_url="sqlite:///no-such-directory/never-opened.db"))
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "*", rule.rule).rstrip("/") or "/"
        found.setdefault(path, set()).update(rule.methods or ())
    return found


def known_route(method: str | None, path: str) -> bool:
    """Tell whether the product has the route, or routes below it where no method is named.

    `{id}`, `$ID` and `<id>` are parts of a path.
    """
    pattern = re.sub(r"\{[^}]*\}|<[^>]*>|\$\w+|\$\{\w+\}|[0-9a-f]{8}-[0-9a-f-]{27}", "*", path)
    if method is not None:
        return method in rules().get(pattern, ())
    return any(rule == pattern or rule.startswith(f"{pattern}/") for rule in rules())


ROUTE = re.compile(
    r"(?:\b(GET|HEAD|POST|PUT|PATCH|DELETE) )?"
    r"(/(?:api/v1|health|openapi)(?:/(?:[\w{}$*-]|<\w+>)+)*)"
)


OF_PROMETHEUS = {f"/api/v1/{one}" for one in ("query", "query_range", "write")}


@everywhere(FILES)
def test_routes_are_known(path: Path) -> None:
    # What is behind their ports belongs to Prometheus and Alertmanager.
    text = re.sub(r":909[03]/\S+", "", path.read_text())
    named = {(found[1] or None, found[2]) for found in ROUTE.finditer(text)}
    assert [one for one in named if one[1] not in OF_PROMETHEUS and not known_route(*one)] == []


def test_route_that_is_not_there_is_noticed() -> None:
    assert known_route("GET", "/api/v1/environments/$ID")
    assert not known_route("PUT", "/api/v1/environments/$ID")
    assert not known_route(None, "/api/v1/environmnts")


def published() -> set[int]:
    """Return the ports of this host on which something of ours is, by the Compose file."""
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    return {int(match) for port in ports for match in re.findall(r":-(\d+)\}", port)}


@everywhere(DOCUMENTS)
def test_addresses_of_this_host_are_ours(path: Path) -> None:
    named = {
        int(port) for port in re.findall(r"(?:localhost|127\.0\.0\.1):(\d+)", path.read_text())
    }
    # What Docker picked for an environment in an example.
    assert {port for port in named if not 32768 <= port < 61000} <= published()


@everywhere(DOCUMENTS)
def test_containers_are_those_of_the_compose_file(path: Path) -> None:
    known = {service["container_name"] for service in COMPOSE["services"].values()}
    text = path.read_text()
    named = set(
        re.findall(r"docker (?:exec|logs|inspect|restart|stop|start) (vibebox-[\w-]+)", text)
    )
    assert {one for one in named if not one.startswith("vibebox-$")} <= known


@cache
def secret_files() -> set[str]:
    """Return the files below SECRETS_DIR: those that a script makes, and those that are read."""
    script = (ROOT / "scripts" / "compose-secrets").read_text()
    alertmanager = (ROOT / "monitoring" / "alertmanager" / "alertmanager.yml").read_text()
    read = re.findall(r"/etc/alertmanager/secrets/(\w+)", alertmanager)
    return {*re.findall(r"^hand_over \w+ (\S+)", script, re.MULTILINE)} | {
        f"alertmanager/{one}" for one in read
    }


@everywhere(DOCUMENTS)
def test_files_with_secrets_are_where_they_are_read(path: Path) -> None:
    text = path.read_text()
    named = set(re.findall(r"(?<![\w/])secrets/(\w+/\w+|\w+)", text))
    assert named <= secret_files()
    inside = re.findall(r"/etc/(\w+)/secrets/(\w+)", text)
    assert {"/".join(one) for one in inside} <= secret_files()


@everywhere(DOCUMENTS)
def test_default_beside_a_setting_is_its_default(path: Path) -> None:
    """`VIBEBOX_THREADS` (8), and the rows of a table: | `PORT` | `3000` | …"""
    defaults = {
        environment_name(key, field): field.default for key, field in Settings.model_fields.items()
    }
    text = path.read_text()
    for key, said in re.findall(r"`(\w+)` \(`?([\d.]+)(?: [a-zA-Z]+)?`?\)", text):
        if key in defaults:
            assert float(said) == float(defaults[key]), key
    for keys, values in re.findall(r"^\| (`[A-Z_`, ]+`) \| (`[^|]+`) \|", text, re.MULTILINE):
        for key, said in zip(_INLINE.findall(keys), _INLINE.findall(values), strict=True):
            if key in defaults:
                assert said == str(defaults[key]), key
