"""Settings: one table, checked as a whole, secrets never shown."""

from pathlib import Path

import pytest

from app.core import setting_names
from app.core import settings as module
from app.core.errors import SettingsError
from app.core.setting_names import CLIENT_VARIABLES, Retired
from app.core.settings import Settings, environment_name, example
from app.storage import Database
from app.wiring import load_settings

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "tests" / "upgrade" / "releases"
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


@pytest.mark.parametrize("name", CLIENT_VARIABLES)
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
    assert Settings(**fields).pool_limit == limit


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

    assert load_settings().port == 4321


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HOST", "999.1.1.1", "must be a host name or an IP address"),
        ("HOST", "http://127.0.0.1", "must be a host name or an IP address"),
        ("HOST", "127.0.0.1:3000", "must be a host name or an IP address"),
        ("VIBEBOX_PUBLISH_ADDRESS", "999.1.1.1", "must be an IP address"),
        ("VIBEBOX_PUBLISH_ADDRESS", "foo", "must be an IP address"),
        ("VIBEBOX_CONNECTION_HOST", "999.1.1.1", "must be a host name or an IP address"),
        ("VIBEBOX_CONNECTION_HOST", "https://box", "must be a host name or an IP address"),
        ("VIBEBOX_ALLOWED_ORIGINS", "foo", "'foo' must start with http:// or https://"),
        ("VIBEBOX_ALLOWED_ORIGINS", "https://a.example, 999.1.1.1", "'999.1.1.1' must start with"),
        ("VIBEBOX_ALLOWED_ORIGINS", "https://a.example/x", "and nothing else"),
        ("VIBEBOX_ALLOWED_ORIGINS", "*", "'*' must start with http:// or https://"),
        ("VIBEBOX_ALLOWED_HOSTS", "999.1.1.1", "'999.1.1.1' must be a host name or an IP address"),
        ("VIBEBOX_ALLOWED_HOSTS", "a.example, *", "'*' must be a host name or an IP address"),
        ("VIBEBOX_ALLOWED_HOSTS", "https://a.example", "must be a host name or an IP address"),
        ("VIBEBOX_PROMETHEUS_URL", "http://999.1.1.1:9090", "must name a host by its name or IP"),
        ("VIBEBOX_PROMETHEUS_URL", "http://", "must name a host"),
        ("VIBEBOX_PROMETHEUS_URL", "http://a.example:x", "must hold a port from 1 to 65535"),
        ("VIBEBOX_PROMETHEUS_URL", "prometheus:9090", "must start with http:// or https://"),
        ("VIBEBOX_RATE_LIMIT_STORAGE", "redis://999.1.1.1", "must name a host by its name or IP"),
        ("VIBEBOX_RATE_LIMIT_STORAGE", "redis://redis:x", "must hold a port from 1 to 65535"),
        ("DOCKER_HOST", "tcp://999.1.1.1:2375", "must name a host by its name or IP address"),
        ("DOCKER_HOST", "tcp://engine", "must name a port"),
        ("DOCKER_HOST", "tcp://engine:99999", "must hold a port from 1 to 65535"),
        ("DOCKER_HOST", "unix://", "must name a socket"),
        ("DATABASE_URL", "postgresql://ada@999.1.1.1/x", "must be a host name or an IP address"),
        ("DATABASE_URL", "postgresql://ada@host:port/x", "The database URL cannot be read"),
        ("DATABASE_URL", "sqlite:///:memory:", "name a plain file"),
        ("VIBEBOX_HOST_PORTS", "80", "must be a port or a range FIRST-LAST, from 1024 to 65535"),
        ("VIBEBOX_HOST_PORTS", "1023-2000", "must be a port or a range FIRST-LAST, from 1024"),
        ("VIBEBOX_HOST_PORTS", "3000-2000", "must be a port or a range FIRST-LAST"),
        ("VIBEBOX_HOST_PORTS", "20000-70000", "must be a port from 1 to 65535"),
        ("VIBEBOX_HOST_PORTS", "http", "must be a port from 1 to 65535"),
        ("VIBEBOX_RESERVED_PORTS", "3001;9090", "must be a port from 1 to 65535"),
    ],
)
def test_value_that_cannot_be_right_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)

    (line,) = mistakes()

    assert line.startswith(f"{name}: ")
    assert words in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST", "::"),
        ("HOST", "[::1]"),
        ("HOST", "localhost"),
        ("HOST", "box.lan"),
        ("VIBEBOX_PUBLISH_ADDRESS", "0.0.0.0"),
        ("VIBEBOX_PUBLISH_ADDRESS", "::1"),
        ("VIBEBOX_CONNECTION_HOST", "box.example.org"),
        ("VIBEBOX_ALLOWED_ORIGINS", " https://a.example/ , http://b_c.example:8080,"),
        ("VIBEBOX_ALLOWED_HOSTS", "a.example,[2001:db8::1], 10.0.0.1"),
        ("VIBEBOX_PROMETHEUS_URL", "https://ada:secret@prometheus:9090/prefix"),
        ("VIBEBOX_RATE_LIMIT_STORAGE", "rediss://:secret@redis:6380/1"),
        ("VIBEBOX_RATE_LIMIT_STORAGE", "redis:///0"),
        ("DOCKER_HOST", "tcp://docker-engine:2375"),
        ("DOCKER_HOST", "tcp://[::1]:2375"),
        ("DOCKER_HOST", "tcp://:2375"),
        ("DATABASE_URL", "postgresql://ada@[::1]:5432/x"),
        ("DATABASE_URL", "postgresql:///x?host=/var/run/postgresql"),
        ("DATABASE_URL", "postgres://ada:pa%40ss@host/x"),
        ("VIBEBOX_HOST_PORTS", "20000-29999, 31000"),
    ],
)
def test_value_that_may_be_right_is_taken(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    load_settings()


def test_lists_are_read_in_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIBEBOX_ALLOWED_ORIGINS", "https://A.example:443/, http://b.example:8080")
    monkeypatch.setenv("VIBEBOX_ALLOWED_HOSTS", "A.example., [2001:DB8::0:1]")
    monkeypatch.setenv("VIBEBOX_HOST_PORTS", "30000, 20000-20999,21000-21999, 20500")

    settings = load_settings()

    assert settings.origins == {"https://a.example", "http://b.example:8080"}
    assert settings.hosts == frozenset({"a.example", "2001:db8::1"})
    assert settings.host_port_ranges == ((20000, 21999), (30000, 30000))


def of_service(name: str, port: int = 3000) -> dict[str, str]:
    """What Kubernetes puts into a Pod for a Service of this name, with a port called http."""
    service = name.upper().replace("-", "_")
    address = f"tcp://10.96.31.7:{port}"
    return {
        f"{service}_SERVICE_HOST": "10.96.31.7",
        f"{service}_SERVICE_PORT": str(port),
        f"{service}_SERVICE_PORT_HTTP": str(port),
        f"{service}_PORT": address,
        f"{service}_PORT_{port}_TCP": address,
        f"{service}_PORT_{port}_TCP_PROTO": "tcp",
        f"{service}_PORT_{port}_TCP_PORT": str(port),
        f"{service}_PORT_{port}_TCP_ADDR": "10.96.31.7",
    }


@pytest.mark.parametrize(
    "service", ["vibebox", "vibebox-backend", "vibebox-postgres", "vibebox-vscode", "vibebox-2"]
)
def test_variables_of_a_service_in_kubernetes_are_no_settings(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    for name, value in of_service(service).items():
        monkeypatch.setenv(name, value)

    assert load_settings() == Settings.model_validate({})


def test_variables_of_an_ipv6_service_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIBEBOX_SERVICE_HOST", "fd00:10:96::1f")
    monkeypatch.setenv("VIBEBOX_PORT", "tcp://[fd00:10:96::1f]:3000")
    monkeypatch.setenv("VIBEBOX_PORT_53_UDP_ADDR", "fd00:10:96::1f")

    assert load_settings() == Settings.model_validate({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VIBEBOX_PORT", "8080"),
        ("VIBEBOX_GRAFANA_PORT", "3001"),
        ("VIBEBOX_VSCODE_PRT", "13338"),
        ("VIBEBOX_HOST", "0.0.0.0"),
        ("VIBEBOX_PORT_TCP", "tcp://10.96.31.7:3000"),
    ],
)
def test_mistyped_setting_of_a_similar_shape_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert mistakes()[0].startswith(f"{name}: there is no such setting")


def test_retired_setting_gives_its_value_to_the_one_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retired = Retired("VIBEBOX_THREADS", "it is called VIBEBOX_THREADS now.")
    monkeypatch.setitem(setting_names.RETIRED, "VIBEBOX_REQUEST_THREADS", retired)
    monkeypatch.setitem(setting_names.RETIRED, "VIBEBOX_GONE", Retired(None, "nothing reads it."))
    monkeypatch.setenv("VIBEBOX_REQUEST_THREADS", "5")
    monkeypatch.setenv("VIBEBOX_GONE", "anything")

    assert load_settings().threads == 5
    assert module.retired_in_use() == [
        "VIBEBOX_REQUEST_THREADS is no setting any more: it is called VIBEBOX_THREADS now.",
        "VIBEBOX_GONE is no setting any more: nothing reads it.",
    ]

    monkeypatch.setenv("VIBEBOX_THREADS", "6")
    assert load_settings().threads == 6


def test_retired_setting_leads_to_one_that_there_is() -> None:
    known = {environment_name(*field) for field in FIELDS}
    for name, retired in setting_names.RETIRED.items():
        assert name not in known
        assert retired.now is None or retired.now in known
        assert retired.why.endswith(".")


@pytest.mark.parametrize(
    "file", sorted(RELEASED.glob("*/settings.env")), ids=lambda it: it.parent.name
)
def test_settings_of_earlier_releases_are_still_accepted(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    """With the values that they had by default: an .env that was made from the example."""
    for line in file.read_text().splitlines():
        name, assigned, value = line.removeprefix("#").partition("=")
        if assigned and line.startswith("#") and " " not in name:
            monkeypatch.setenv(name, value)

    load_settings()
