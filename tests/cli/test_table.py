"""The client repeats a few names of the service, so as not to import it: here they are the same."""

import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from app.cli.client.commands import COMMANDS
from app.cli.client.environment_commands import STATUSES, create
from app.cli.client.errors import NEXT_STEPS, ProblemError
from app.cli.client.running_commands import PULLS
from app.cli.client.token_commands import SCOPES
from app.cli.main import main
from app.core import errors
from app.domain.authorization import Scope
from app.storage import EnvironmentStatus, PullPolicy


def slugs(kind: type[errors.VibeBoxError]) -> Iterator[str]:
    yield kind.slug
    for child in kind.__subclasses__():
        yield from slugs(child)


def test_names_are_those_of_the_service() -> None:
    assert STATUSES == tuple(EnvironmentStatus)
    assert PULLS == tuple(PullPolicy)
    assert SCOPES == tuple(Scope)
    # What no route answers has no error of its own.
    assert set(NEXT_STEPS) <= {"not-found", *slugs(errors.VibeBoxError)}


@pytest.mark.parametrize("step", NEXT_STEPS.values())
def test_next_steps_name_commands_that_exist(step: str) -> None:
    for quoted in step.split("`")[1::2]:
        words = quoted.split()
        if words[0] == "vibebox":
            assert words[1] in main.commands


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_of_each_command_fits_a_line_of_the_list(command: object) -> None:
    name = command.name  # type: ignore[attr-defined]
    result = CliRunner().invoke(main, [name, "--help"])

    assert result.exit_code == 0
    listed = CliRunner().invoke(main, ["--help"]).output.splitlines()
    (line,) = [line for line in listed if line.startswith(f"  {name} ")]
    assert line.endswith(".") and not line.endswith("...")


def test_help_has_two_sections() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    use, run = text.index("Use VibeBox:"), text.index("Run VibeBox:")

    assert use < text.index("\n  login ") < text.index("\n  logs ") < run
    assert run < text.index("\n  agent ") < text.index("\n  migrate ")


def test_commands_import_nothing_of_the_service(run_python: object) -> None:
    """So that help and completion are quick, and a client needs no driver."""
    heavy = ("requests", "flask", "sqlalchemy", "pydantic", "docker", "prometheus_client")
    loaded = run_python("import sys, app.cli.main; print(*sys.modules)")  # type: ignore[operator]

    assert "app.cli.client.log_commands" in loaded
    assert not set(heavy) & set(loaded)


@pytest.fixture
def run_python() -> object:
    """A function that runs a program in a fresh interpreter and returns the words it prints."""
    import subprocess

    def run(program: str) -> list[str]:
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        return result.stdout.split()

    return run


def test_problem_is_told_with_its_fields_and_next_step() -> None:
    problem = {
        "type": "urn:vibebox:problem:invalid-token",
        "title": "The token is not valid",
        "detail": "Log in again.",
        "request_id": "r1",
    }
    error = ProblemError(problem, 401)

    assert error.message == "The token is not valid. Log in again."
    assert "vibebox login" in error.step and error.exit_code == 1
    assert "request r1" in ProblemError(problem, 500).message
    assert ProblemError({}, 418).message == "The service answered 418."


@pytest.mark.parametrize(
    ("quota", "step"),
    [
        ({"of": "account"}, "`vibebox quota` shows what is in use."),
        ({"of": "team", "team": "the red"}, "`vibebox quota --team 'the red'` shows what is"),
        ({"of": "maker"}, "Whoever made the team sees"),
        ({"of": "host"}, "`vibebox quota --json` shows under `host`"),
        (None, "`vibebox quota` shows"),
    ],
    ids=["account", "team", "maker", "host", "none told"],
)
def test_quota_leads_to_whose_it_is(quota: dict[str, str] | None, step: str) -> None:
    problem = {"type": "urn:vibebox:problem:quota-exceeded", "quota": quota}
    assert ProblemError(problem, 409).step.startswith(step)


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("memory_limit_mb", "--memory"),
        ("cpu_limit", "--cpus"),
        ("name", "NAME"),
        ("ports.0.container_port", "--port"),
        ("env.1X", "--env 1X"),
        ("secrets.A-B", "--secret A-B"),
        ("expires_at", "--expires"),
        ("volume", "volume"),
    ],
)
def test_field_is_told_as_what_was_typed(field: str, named: str) -> None:
    problem = {"title": "…", "errors": [{"field": field, "message": "Enter a number."}]}
    with click.Context(create):
        assert ProblemError(problem, 422).message == f"{named}: Enter a number."
    assert ProblemError(problem, 422).message == f"{field}: Enter a number."


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path), command
    for name, child in command.commands.items() if isinstance(command, click.Group) else ():
        yield from commands(child, (*path, name))


@pytest.mark.parametrize(
    ("command"), [pytest.param(one, id=path) for path, one in commands(main, ("vibebox",))]
)
def test_every_command_and_option_says_what_it_is_for(command: click.Command) -> None:
    assert command.help
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert all(option.help for option in options)
