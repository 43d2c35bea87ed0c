"""What leaves the house holds no secret that the settings hold, wherever it stands."""

import json
import os
import re
import stat
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from html import escape
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote, quote_plus

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from pydantic import SecretStr

from app.cli.main import main
from app.core.settings import MAY_HOLD_SECRETS, Settings, environment_name
from app.doctor.bundle import parts
from app.doctor.bundle.secrets import INSTEAD, secrets_of, shown_options, shown_url, without
from app.domain.probe.rounds import Outcome, ProbeRounds
from app.storage import Alert, Database, utc_now
from tests.explaining.world import firing, rule
from tests.support.stand_in import StandIn

HARD = "pa ss/wörd%41&\"q'\\"
"""Characters that each way of writing writes in another way."""


@pytest.fixture
def peer() -> Iterator[StandIn]:
    with closing(StandIn()) as peer:
        yield peer


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands run where there is no .env but one of the test."""
    monkeypatch.chdir(tmp_path)


class Markers:
    """A setting of each kind that may hold a secret, and the secrets in them."""

    def __init__(self, peer: StandIn) -> None:
        self.secrets: list[str] = []
        self._peer = peer
        self.environment = {name: self._value(name) for name in MAY_HOLD_SECRETS}
        self.environment["PGPASSWORD"] = self._new("pgpassword")
        self.environment["HTTPS_PROXY"] = f"http://ada:{self._new('proxy')}@127.0.0.1:1"

    def _new(self, of: str, more: str = "") -> str:
        self.secrets.append(f"marker-{len(self.secrets)}-{of.lower()}{more}")
        return self.secrets[-1]

    def _value(self, name: str) -> str:
        if name == "DATABASE_URL":
            return f"postgresql://ada:{quote(self._new('db', HARD), safe='')}@127.0.0.1:1/none"
        if name == "DOCKER_HOST":
            return "tcp://127.0.0.1:1"  # a login in it is refused
        if name == "VIBEBOX_RATE_LIMIT_STORAGE":
            return f"redis://:{self._new('redis')}@127.0.0.1:1/0"
        if name == "VIBEBOX_SECRET_KEYS":
            keys = [Fernet.generate_key().decode() for _ in range(2)]
            self.secrets += keys
            return ",".join(keys)
        if name.endswith("_HEADERS"):
            hard = quote(self._new("key", "/=é"), safe="")
            return f"authorization=Bearer {self._new(name)},x-key={hard}"
        if name.endswith("_ENDPOINT"):  # a login in it is refused
            port = 2 if name.startswith("VIBEBOX") else 1  # users' is another one
            return f"http://localhost:{port}/?key={self._new(name)}"
        if name.endswith("_URL"):
            login = f"{self._new('user')}:{quote(self._new(name, HARD), safe='')}"
            return self._peer.url.replace("//", f"//{login}@") + f"/?key={self._new('query')}"
        return self._new(name)


@pytest.fixture
def markers(peer: StandIn) -> Markers:
    return Markers(peer)


def members(file: Path) -> dict[str, str]:
    with tarfile.open(file) as archive:
        return {
            one.name.partition("/")[2]: archive.extractfile(one).read().decode()  # type: ignore[union-attr]
            for one in archive.getmembers()
        }


def bundle(tmp_path: Path, *options: str, **environment: str) -> tuple[Result, Path]:
    target = tmp_path / "bundle.tar.gz"
    arguments = ["support-bundle", str(target), *options]
    return CliRunner().invoke(main, arguments, env=environment), target


def ways(secret: str) -> set[str]:
    """Return how it may stand in a text: what writes texts writes it so."""
    quoted = quote(secret, safe="")
    once = json.dumps(secret)[1:-1]
    return {
        *(secret, once, json.dumps(once)[1:-1], json.dumps(repr(secret))[1:-1], repr(secret)),
        *(quote(secret), quoted, quote(secret, safe=" +"), quote_plus(secret)),
        re.sub("%..", lambda found: found[0].lower(), quoted),
        *(escape(secret), b64encode(secret.encode()).decode()),
    }


def assert_without(texts: dict[str, str], secrets: list[str]) -> None:
    for name, text in texts.items():
        for secret in secrets:
            assert [way for way in ways(secret) if way in text] == [], name


def test_every_secret_setting_is_known() -> None:
    secret = {
        environment_name(name, field)
        for name, field in Settings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    assert secret <= set(MAY_HOLD_SECRETS)


def test_no_secret_is_in_the_bundle(tmp_path: Path, markers: Markers, peer: StandIn) -> None:
    labels = {"leaks": markers.secrets[0], "url": f"http://x:{markers.secrets[1]}@y/"}
    peer.answers["/api/v1/rules"] = lambda _: {
        "data": {"groups": [{"rules": [rule("Odd", "vector(1)", firing("Odd", **labels))]}]}
    }
    log = tmp_path / "web.log"
    log.write_text("".join(f"{way}\n" for s in markers.secrets for way in ways(s)))
    settings = {
        **markers.environment,
        "VIBEBOX_USER_OTLP_ADDRESS": "http://127.0.0.1:3000",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }
    result, target = bundle(tmp_path, "--log", str(log), **settings)

    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    texts = members(target)
    assert set(texts) == {
        *("README.txt", "doctor.json", "versions.json", "settings.txt", "alerts.json"),
        "logs/1-web.log",
    }
    assert "log.jsonl: " in texts["README.txt"] and "metrics.txt: " in texts["README.txt"]
    assert INSTEAD in texts["settings.txt"] and INSTEAD in texts["logs/1-web.log"]
    assert '"alertname": "Odd"' in texts["alerts.json"]
    assert_without({**texts, "output": result.output}, markers.secrets)


def test_settings_that_are_not_valid_are_told_without_their_values(
    tmp_path: Path, markers: Markers
) -> None:
    settings = {name: f"{markers.secrets[0]}\x7f{name}" for name in MAY_HOLD_SECRETS}
    result, target = bundle(tmp_path, **settings)

    assert result.exit_code == 0, result.output
    texts = members(target)
    assert set(texts) == {"README.txt", "doctor.json", "versions.json"}
    assert "DATABASE_URL" in texts["doctor.json"]
    assert_without({**texts, "output": result.output}, markers.secrets[:1])


def test_address_that_is_refused_is_told_without_its_login(tmp_path: Path) -> None:
    result, target = bundle(
        tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="https://hidden-one@host/?k=hidden-two"
    )
    texts = members(target)

    assert "OTEL_EXPORTER_OTLP_ENDPOINT: has a login" in texts["doctor.json"]
    assert_without({**texts, "output": result.output}, ["hidden-one", "hidden-two"])


def test_facts_are_there(tmp_path: Path, database: Database, database_url: str) -> None:
    now = utc_now()
    with database.writing() as session:
        session.add(
            Alert(
                fingerprint="f",
                starts_at=now,
                ends_at=now,
                resolved=True,
                heard_at=now,
                labels={"alertname": "Slow"},
                annotations={},
                generator_url="",
            )
        )
    rounds = ProbeRounds(database)
    rounds.finish(rounds.begin("command", 60), Outcome({}, "start", "It fails.", "Mend it."))
    result, target = bundle(tmp_path, DATABASE_URL=database_url, VIBEBOX_THREADS="9")
    texts = members(target)

    assert result.exit_code == 0
    assert "VIBEBOX_THREADS=9\n" in texts["settings.txt"]
    assert "PORT=3000  # default\n" in texts["settings.txt"]
    versions: dict[str, Any] = json.loads(texts["versions.json"])
    assert versions["schema"] == versions["schema_needed"]
    assert versions["distributions"]["Flask"] or versions["distributions"]["flask"]
    alerts = json.loads(texts["alerts.json"])
    assert alerts["received"][0]["labels"] == {"alertname": "Slow"}
    assert alerts["firing"] == {"missing": "VIBEBOX_PROMETHEUS_URL is not set."}
    assert alerts["silences"] == {"missing": "VIBEBOX_ALERTMANAGER_URL is not set."}
    (last,) = json.loads(texts["probe.json"])["rounds"]
    assert (last["step"], last["says"]) == ("start", "It fails.") and last["finished_at"]
    assert json.loads(texts["doctor.json"])["checks"][0]["name"] == "settings"


def test_silences_are_there(tmp_path: Path, peer: StandIn) -> None:
    silence = {
        "id": "1",
        "matchers": [{"name": "alertname", "value": "Slow", "isRegex": False}],
        "startsAt": "2026-01-31T12:00:00Z",
        "endsAt": "2026-01-31T14:00:00Z",
        "createdBy": "ada@example.org",
        "comment": "known",
        "status": {"state": "active"},
    }
    peer.answers["/api/v2/silences"] = lambda _: [silence]
    _, target = bundle(tmp_path, VIBEBOX_ALERTMANAGER_URL=peer.url)

    (found,) = json.loads(members(target)["alerts.json"])["silences"]
    assert (found["matchers"][0]["value"], found["created_by"]) == ("Slow", "ada@example.org")


def test_a_file_that_is_there_stays(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "bundle.tar.gz").write_text("mine")
    result, target = bundle(tmp_path, DATABASE_URL=database_url)

    assert result.exit_code == 2 and "name another file" in result.output
    assert target.read_text() == "mine"


def test_standard_output_has_the_archive_alone(tmp_path: Path, database_url: str) -> None:
    environment = {"DATABASE_URL": database_url}
    result = CliRunner().invoke(main, ["support-bundle", "-"], env=environment)
    (file := tmp_path / "piped.tar.gz").write_bytes(result.stdout_bytes)

    assert result.exit_code == 0 and "settings.txt" in members(file)
    assert "Missing: log.jsonl" in result.stderr and not (Path.cwd() / "-").exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:9090/path", "http://host:9090/path"),
        ("http://token@host/", f"http://{INSTEAD}@host/"),
        ("http://ada:se/c@r?e#t@host:9/?a=1", f"http://{INSTEAD}@host:9/?{INSTEAD}"),
        ("https://ada:secret@host/?key=x", f"https://{INSTEAD}@host/?{INSTEAD}"),
        ("postgresql://ada:se:c@ret@host/db", f"postgresql://ada:{INSTEAD}@host/db"),
        ("postgresql://ada@host/db", "postgresql://ada@host/db"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
    ],
)
def test_address_is_shown_without_its_login(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_words_that_are_in_every_text_are_no_secrets() -> None:
    found = secrets_of({"VIBEBOX_PROMETHEUS_TOKEN": "abc", "X_TOKEN": "true", "PATH": "/bin"})
    assert found == frozenset()
    assert secrets_of({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20good-one"}) >= {
        "good-one",
        "Bearer good-one",
    }
    assert without("Bearers of good-one", frozenset({"good-one"})) == "Bearers of [redacted]"


@pytest.mark.parametrize(
    ("setting", "secret"),
    [
        ("OTEL_EXPORTER_OTLP_HEADERS=authorization=Basic%20YWRhOmhpZGRlbi1vbmU=", "hidden-one"),
        ("VIBEBOX_PROMETHEUS_URL=http://ada:hidden-one@host/", "YWRhOmhpZGRlbi1vbmU="),
        ("VIBEBOX_PROMETHEUS_URL=http://ada:hid/de@n-one@host/", "hid/de@n-one"),
        ("DATABASE_URL=postgresql://ada:hid%2Fden?-one@host/", "hid/den?-one"),
    ],
)
def test_secrets_of_a_login_are_known_in_each_form(setting: str, secret: str) -> None:
    name, _, value = setting.partition("=")
    assert secret not in without(f"says '{secret}'", secrets_of({name: value}))


def test_settings_of_env_file_count_as_those_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("VIBEBOX_ALERTS_TOKEN", "VIBEBOX_THREADS")
    for name in names:  # what the command sets is taken back
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text("VIBEBOX_ALERTS_TOKEN=only-in-env\nVIBEBOX_THREADS=9\n")
    (log := tmp_path / "web.log").write_text("it says only-in-env\n")
    result, target = bundle(tmp_path, "--log", str(log), VIBEBOX_THREADS="7")
    texts = members(target)

    assert result.exit_code == 0 and f"{tmp_path}/.env" in result.stderr
    assert texts["logs/1-web.log"] == f"it says {INSTEAD}\n"
    assert "VIBEBOX_THREADS=7\n" in texts["settings.txt"]


def test_log_that_is_a_pipe_or_cut_gives_what_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    monkeypatch.setattr(parts, "_MOST_BYTES", 16)
    (log := tmp_path / "web.log").write_text("password=long-secret\nlast line\n")
    result, target = bundle(tmp_path, "--log", str(pipe), "--log", str(log))
    texts = members(target)

    assert f"logs/1-pipe: {pipe} is no file." in texts["README.txt"] and result.exit_code == 0
    assert texts["logs/2-web.log"] == "last line\n"


def test_link_is_not_followed_and_a_name_that_is_all_ending_has_a_folder(tmp_path: Path) -> None:
    (tmp_path / "bundle.tar.gz").symlink_to(tmp_path / "victim")
    result, _ = bundle(tmp_path)
    assert result.exit_code == 2 and not (tmp_path / "victim").exists()

    assert CliRunner().invoke(main, ["support-bundle", ".tar.gz"]).exit_code == 0
    with tarfile.open(tmp_path / ".tar.gz") as archive:
        assert {name.partition("/")[0] for name in archive.getnames()} == {"bundle"}


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ("--workers 2 --bind=0.0.0.0:80", "--workers 2 --bind=0.0.0.0:80"),
        ("--env X=geheim -w 2", f"--env 'X={INSTEAD}' -w 2"),
        ("--env=X=geheim", f"'--env=X={INSTEAD}'"),
        ("--en=X='geheim geheim' -eY=geheim", f"'--en=X={INSTEAD}' '-eY={INSTEAD}'"),
        ("-De X=a=geheim", f"-De 'X={INSTEAD}'"),
        ("--env 'X=geheim", INSTEAD),
    ],
)
def test_options_are_shown_without_values_of_variables(options: str, shown: str) -> None:
    assert shown_options(options) == shown


def test_variables_among_options_are_those_of_an_environment(tmp_path: Path) -> None:
    (log := tmp_path / "web.log").write_text("it says only-there, and only-here\n")
    options = "--env MY_TOKEN=only-there --env X=only-here"
    result, target = bundle(tmp_path, "--log", str(log), GUNICORN_CMD_ARGS=options)
    texts = members(target)

    assert result.exit_code == 0, result.output
    assert "GUNICORN_CMD_ARGS=--env" in texts["settings.txt"]
    assert not re.search("only-(t?here)", texts["settings.txt"])
    assert texts["logs/1-web.log"] == f"it says {INSTEAD}, and only-here\n"


@pytest.mark.parametrize("word", ["vibebox", "postgres", "Metrics"])
def test_word_of_every_text_is_left_out_where_it_is_the_secret(word: str) -> None:
    """A gap in each `vibebox_` would tell the password, and leave nothing to read."""
    url = f"postgresql://{word}:{word}@host/{word}"
    secrets = secrets_of({"DATABASE_URL": url, "PGPASSWORD": word})
    text = f"{word}_requests_total: connected as {word}"
    assert without(text, secrets) == text
    basic = b64encode(f"{word}:{word}".encode()).decode()
    for told in (url, f'{{"password": "{word}"}}', f"PGPASSWORD={word}", f"Basic {basic}"):
        assert INSTEAD in without(told, secrets)
