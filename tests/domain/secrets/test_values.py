"""Secret environment variables: encrypted, merged, rotated, and shown nowhere."""

import logging
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from flask_openapi3 import OpenAPI
from pydantic import SecretStr
from sqlalchemy import select, text

from app.cli.main import main
from app.core.errors import SettingsError
from app.core.logging import JsonFormatter
from app.core.settings import Settings
from app.domain.secrets.rotation import BATCH
from app.domain.secrets.values import SecretValues, new_key
from app.storage import Database, Environment
from app.wiring import load_settings
from tests.support.application import User, parts
from tests.support.checks import assert_problem
from tests.support.fakes import IMAGE, FakeEngine
from tests.web.api.test_environments import ENVIRONMENTS, body, one

OLD, NEW = new_key(), new_key()
VALUE = "hunter2-never-seen"
MakeUser = Callable[..., User]


@pytest.fixture
def keyed(make_app: Callable[..., OpenAPI], make_user: MakeUser) -> User:
    """A user of a service with a key."""
    return make_user(make_app(secret_keys=OLD).test_client(), "ada@example.org")


def stored(database: Database) -> dict[str, str]:
    with database.reading() as session:
        return dict(session.scalars(select(Environment.secrets)).one())


def change(user: User, identity: str, **fields: Any) -> Any:
    return user.send("PATCH", one(identity), json=fields)


def test_secrets_reach_the_container_and_nobody_else(
    keyed: User, engine: FakeEngine, database: Database
) -> None:
    identity = keyed.new_environment(secrets={"TOKEN": VALUE}, env={"A": "b"})
    shown = keyed.post(one(identity, "start"))

    assert body(shown)["secret_names"] == ["TOKEN"]
    assert "secrets" not in body(shown)
    assert engine.only().spec.env == {"A": "b", "TOKEN": VALUE}
    assert VALUE not in shown.get_data(as_text=True)
    with database.reading() as session:
        everything = [
            str(row)
            for table in ("environments", "audit_entries")
            for row in session.execute(text(f"SELECT * FROM {table}"))
        ]
    assert everything and not any(VALUE in row for row in everything)
    assert Fernet(OLD).decrypt(stored(database)["TOKEN"]).decode() == VALUE


def test_changes_are_merged(keyed: User, engine: FakeEngine) -> None:
    identity = keyed.new_environment(secrets={"A": "1", "B": "2"})

    changed = body(change(keyed, identity, secrets={"B": None, "C": "3"}))

    assert changed["secret_names"] == ["A", "C"]
    keyed.post(one(identity, "start"))
    assert engine.only().spec.env == {"A": "1", "C": "3"}


def test_secrets_go_into_a_new_container(keyed: User, engine: FakeEngine) -> None:
    identity = keyed.new_environment()
    keyed.post(one(identity, "start"))

    assert_problem(change(keyed, identity, secrets={"A": "1"}), 409, "environment-conflict")
    keyed.post(one(identity, "stop"))
    assert change(keyed, identity, secrets={"A": "1"}).status_code == 200
    assert engine.containers == {}


def test_variable_is_secret_or_not(keyed: User) -> None:
    both = {"name": "x", "image": IMAGE, "env": {"A": "1"}, "secrets": {"A": VALUE}}
    errors = assert_problem(keyed.post(ENVIRONMENTS, json=both), 422, "invalid-input")["errors"]
    assert [error["field"] for error in errors] == ["secrets.A"]

    identity = keyed.new_environment(env={"A": "1"})
    response = change(keyed, identity, secrets={"A": VALUE})
    assert_problem(response, 422, "invalid-input")
    assert VALUE not in response.get_data(as_text=True)
    assert body(keyed.get(one(identity)))["status"] == "stopped"
    assert change(keyed, identity, secrets={"A": VALUE}, env={}).status_code == 200
    assert_problem(change(keyed, identity, env={"A": "1"}), 422, "invalid-input")


def test_merged_secrets_are_bounded(keyed: User) -> None:
    identity = keyed.new_environment(secrets={f"A{n}": "" for n in range(128)})

    assert_problem(change(keyed, identity, secrets={"B": ""}), 422, "invalid-input")
    assert change(keyed, identity, secrets={"B": "", "A0": None}).status_code == 200


@pytest.mark.parametrize("value", ["\x00", "x" * 8193, 5, None])
def test_bad_secret_is_named_and_not_shown(keyed: User, value: Any) -> None:
    response = keyed.post(
        ENVIRONMENTS, json={"name": "x", "image": IMAGE, "secrets": {"GOOD": VALUE, "BAD": value}}
    )

    errors = assert_problem(response, 422, "invalid-input")["errors"]
    assert [error["field"] for error in errors] == ["secrets.BAD"]
    assert VALUE not in response.get_data(as_text=True)


def test_without_keys_secrets_are_refused(user: User) -> None:
    create = user.post(
        ENVIRONMENTS, json={"name": "x", "image": IMAGE, "secrets": {"TOKEN": VALUE}}
    )
    identity = user.new_environment()

    for response in (create, change(user, identity, secrets={"TOKEN": VALUE})):
        assert_problem(response, 422, "secrets-not-set-up")
        assert VALUE not in response.get_data(as_text=True)
    assert body(user.get(one(identity)))["status"] == "stopped"


@pytest.mark.parametrize("keys", [None, NEW], ids=["no key", "another key"])
def test_start_needs_the_key(
    keyed: User, make_app: Callable[..., OpenAPI], engine: FakeEngine, keys: str | None
) -> None:
    identity = keyed.new_environment(secrets={"TOKEN": VALUE})
    later = User(make_app(secret_keys=keys).test_client(), keyed.email, keyed.tokens)

    assert_problem(later.post(one(identity, "start")), 503, "secrets-unavailable")
    assert body(later.get(one(identity)))["status"] == "stopped"
    assert engine.calls == []
    assert body(keyed.post(one(identity, "start")))["status"] == "running"


def test_secrets_are_in_no_log_line(keyed: User, engine: FakeEngine) -> None:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        identity = keyed.new_environment(secrets={"TOKEN": VALUE})
        keyed.post(one(identity, "start"))
        keyed.post(ENVIRONMENTS, json={"name": "!", "image": IMAGE, "secrets": {"T": VALUE}})
    finally:
        root.setLevel(level)
        root.removeHandler(handler)

    assert f"/environments/{identity}/start" in stream.getvalue()
    assert VALUE not in stream.getvalue() and OLD not in stream.getvalue()


@pytest.mark.parametrize(
    "keys",
    ["short", f"{OLD},", f"{OLD},x", "ü"],
    ids=["short", "empty", "second", "not ascii"],
)
def test_malformed_key_is_a_mistake_that_does_not_show_it(
    keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIBEBOX_SECRET_KEYS", keys)
    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert "new-key" in str(caught.value) and OLD not in str(caught.value)


def rotate(url: str, *keys: str) -> Result:
    environment = {"DATABASE_URL": url, "VIBEBOX_SECRET_KEYS": ",".join(keys)}
    return CliRunner().invoke(main, ["secrets", "rotate"], env=environment)


def test_rotation_renews_once(keyed: User, database: Database, database_url: str) -> None:
    identity = keyed.new_environment(secrets={"A": VALUE, "B": "2"})
    before = body(keyed.get(one(identity)))

    first, again = (rotate(database_url, NEW, OLD) for _ in range(2))

    assert first.output.startswith("2 secrets encrypted anew; 0 were")
    assert again.output.startswith("0 secrets encrypted anew; 2 were")
    assert Fernet(NEW).decrypt(stored(database)["A"]).decode() == VALUE
    assert body(keyed.get(one(identity)))["updated_at"] == before["updated_at"]
    assert (first.exit_code, again.exit_code) == (0, 0)


def test_rotation_goes_through_every_batch(
    keyed: User, app: OpenAPI, database: Database, database_url: str
) -> None:
    token = SecretValues(SecretStr(OLD)).encrypt(VALUE)
    keyed.new_environment()
    with database.writing() as session:
        like = session.scalars(select(Environment)).one()
        for number in range(2 * BATCH):
            session.add(
                Environment(
                    project_id=like.project_id,
                    name=f"e{number}",
                    image=IMAGE,
                    cpu_limit=1,
                    memory_limit_mb=16,
                    secrets={"A": token},
                )
            )

    assert rotate(database_url, NEW, OLD).output.startswith(f"{2 * BATCH} secrets encrypted")


def test_rotation_tells_what_no_key_decrypts(keyed: User, database_url: str) -> None:
    identity = keyed.new_environment(secrets={"A": VALUE})

    result = rotate(database_url, NEW)

    assert result.exit_code == 1
    assert identity in result.stderr and VALUE not in result.output


def test_rotation_needs_a_key(database_url: str) -> None:
    result = rotate(database_url)

    assert result.exit_code == 2
    assert "VIBEBOX_SECRET_KEYS" in result.stderr


def test_change_keeps_what_a_rotation_renewed_meanwhile(
    keyed: User, engine: FakeEngine, database: Database, database_url: str
) -> None:
    identity = keyed.new_environment(secrets={"A": VALUE})
    keyed.post(one(identity, "start"))
    keyed.post(one(identity, "stop"))
    engine.during_remove = lambda: rotate(database_url, NEW, OLD)

    assert change(keyed, identity, secrets={"B": "2"}).status_code == 200

    assert Fernet(NEW).decrypt(stored(database)["A"]).decode() == VALUE


def test_new_key_is_one(app: OpenAPI) -> None:
    key = CliRunner().invoke(main, ["secrets", "new-key"]).output.strip()

    assert Settings(secret_keys=f"{key}, {OLD}").secret_keys is not None
    assert parts(app).settings.secret_keys is None
