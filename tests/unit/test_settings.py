"""Settings: one table, checked as a whole, secrets never shown."""

from pathlib import Path

import pytest

from app import settings as module
from app.errors import SettingsError
from app.settings import Settings, environment_name, example, load_settings
from app.storage import Database

ROOT = Path(__file__).parents[2]
FIELDS = Settings.model_fields.items()
TOKEN = "s3cr3t-metrics"


def mistakes() -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return caught.value.mistakes


def test_defaults_are_valid() -> None:
    settings = load_settings()

    assert (settings.host, settings.port) == ("127.0.0.1", 3000)
    assert settings.docker_required is True


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "4000")
    monkeypatch.setenv("VIBEBOX_THREADS", "3")
    monkeypatch.setenv("VIBEBOX_DOCKER_REQUIRED", "false")

    settings = load_settings()

    assert (settings.port, settings.threads, settings.docker_required) == (4000, 3, False)


def test_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIBEBOX_METRICS_TOKEN", "")
    monkeypatch.setenv("PORT", "")

    assert (load_settings().metrics_token, load_settings().port) == (None, 3000)


def test_every_mistake_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "seventy")
    monkeypatch.setenv("VIBEBOX_THREADS", "0")
    monkeypatch.setenv("VIBEBOX_LOG_LEVEL", "loud")
    monkeypatch.setenv("VIBEBOX_THREDS", "4")

    found = mistakes()

    assert [line.partition(":")[0] for line in found] == [
        "PORT",
        "VIBEBOX_LOG_LEVEL",
        "VIBEBOX_THREADS",
        "VIBEBOX_THREDS",
    ]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "seventy", "PORT: Enter a whole number"),
        ("PORT", "0", "PORT: Enter a number of at least 1 (got '0')"),
        ("PORT", "65536", "PORT: Enter a number of at most 65 535"),
        ("VIBEBOX_LOG_LEVEL", "loud", "VIBEBOX_LOG_LEVEL: must be one of debug, info, warning"),
        ("DATABASE_URL", "mysql://host/x", "DATABASE_URL: must start with sqlite:/// or postgres"),
        ("DOCKER_HOST", "ssh://host", "DOCKER_HOST: must start with unix:// or tcp://"),
        ("VIBEBOX_DOCKER_REQUIRED", "perhaps", "VIBEBOX_DOCKER_REQUIRED: Enter true or false"),
        ("VIBEBOX_HEALTH_CHECK_TIMEOUT", "1", "Enter a number of at most 0.9"),
    ],
)
def test_mistake_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)

    (line,) = mistakes()

    assert words in line
    assert "Value error" not in line and "Input" not in line


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("VIBEBOX_THREDS", "; did you mean VIBEBOX_THREADS?"),
        ("VIBEBOX_METRIC_TOKEN", "; did you mean VIBEBOX_METRICS_TOKEN?"),
        ("VIBEBOX_QQ", ""),
    ],
)
def test_unknown_name_of_ours_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setenv(name, TOKEN)

    assert mistakes() == [f"{name}: there is no such setting{hint}"]


@pytest.mark.parametrize("name", module.CLIENT_VARIABLES)
def test_what_the_client_reads_is_no_mistake(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, TOKEN)

    assert load_settings() == Settings.model_validate({})


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://ada:{TOKEN}@host/x",
        f"mysql://:{TOKEN}@host/x",
        f"mysql://ada:pa@ss@{TOKEN}@host/x",
        f"ada:{TOKEN}@host/x",
        f"mysql://host/x?password={TOKEN}",
    ],
    ids=["user", "no user", "at signs", "no scheme", "query"],
)
def test_password_of_a_wrong_database_url_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    (line,) = mistakes()

    assert TOKEN not in line


def test_port_of_the_database_that_is_no_number_is_a_mistake() -> None:
    with pytest.raises(SettingsError):
        Database(f"postgresql://ada:{TOKEN}@host:port/x")


def test_metrics_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIBEBOX_METRICS_TOKEN", TOKEN)

    settings = load_settings()

    assert TOKEN not in repr(settings)
    assert TOKEN not in str(settings.model_dump())


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({}, 11),
        ({"threads": 20}, 23),
        ({"db_pool_max": 7}, 7),
        ({"db_pool_max": 2, "db_pool_size": 4}, 4),
    ],
    ids=["default", "more threads", "set", "never below the size"],
)
def test_pool_limit(fields: dict[str, int], limit: int) -> None:
    assert Settings(**fields).pool_limit == limit  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name, _ in FIELDS])
def test_every_setting_has_help(name: str) -> None:
    text = Settings.model_fields[name].description

    assert text and text.endswith(".")


@pytest.mark.parametrize("name", [environment_name(*field) for field in FIELDS])
def test_every_setting_is_in_the_example(name: str) -> None:
    assert f"\n#{name}=" in example()


def test_example_file_is_the_generated_one() -> None:
    assert (ROOT / ".env.example").read_text() == example()


def test_values_of_the_example_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in example().splitlines():
        name, assigned, value = line.removeprefix("#").partition("=")
        if assigned and line.startswith("#") and " " not in name:
            monkeypatch.setenv(name, value)

    assert load_settings() == Settings.model_validate({})


def test_environment_is_not_read_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "4321")

    assert module.load_settings().port == 4321
