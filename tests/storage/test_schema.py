"""Migrations: up, down, at once, and the refusal of a wrong revision."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect, select, text
from sqlalchemy.orm import joinedload

from app.core.errors import SchemaRevisionError
from app.storage import (
    Base,
    BusinessAccount,
    ContainerExit,
    Database,
    Environment,
    ExitReason,
    Login,
    Project,
    User,
    schema,
    utc_now,
)
from app.storage.revisions import BASELINE, MIGRATIONS, OLDEST_SERVED_TABLE, REVISION_TABLE
from tests.storage.processes import together
from tests.storage.support import add_environment

Guard = Callable[[Database], None]
both_guards = pytest.mark.parametrize(
    "guard", [schema.check, lambda database: database.probe(5)], ids=["check", "probe"]
)


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def kept(revision: str) -> set[str]:
    """The tables that say where the schema is."""
    return {OLDEST_SERVED_TABLE, *({REVISION_TABLE} if revision > BASELINE else ())}


def set_revision(database: Database, revision: str) -> None:
    with database.writing() as session:
        for table in kept(schema.expected_revision()):
            session.execute(text(f"UPDATE {table} SET version_num = :it"), {"it": revision})


def test_migrations_go_up_down_and_up_again(empty_database: Database) -> None:
    schema.upgrade(empty_database)
    assert schema.current_revision(empty_database) == schema.expected_revision()
    assert tables(empty_database) == {
        *Base.metadata.tables,
        *kept(schema.expected_revision()),
    }
    schema.downgrade(empty_database, "base")
    assert schema.current_revision(empty_database) is None
    assert tables(empty_database) == kept(BASELINE)
    schema.upgrade(empty_database)
    schema.check(empty_database)


def test_migrated_schema_equals_the_models(database: Database) -> None:
    bookkeeping = kept(schema.expected_revision())
    with database.engine.connect() as connection:
        ours = {"include_name": lambda name, kind, _: kind != "table" or name not in bookkeeping}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **ours})
        assert compare_metadata(context, Base.metadata) == []


def test_check_constraints_equal_the_models(database: Database) -> None:
    """Alembic does not compare these."""
    found = {
        str(check["name"])
        for table in Base.metadata.tables
        for check in inspect(database.engine).get_check_constraints(table)
    }
    declared = {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert found == declared


def test_upgrading_again_changes_nothing(database: Database) -> None:
    with database.writing() as session:
        add_environment(session)
    schema.upgrade(database)
    schema.upgrade(database, schema.expected_revision())
    with database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM environments")).scalar_one() == 1


def test_simultaneous_upgrades_all_succeed(url: str) -> None:
    assert together(3, "migrate", url) == [0, 0, 0]


def test_expected_revision_is_the_head_that_alembic_sees() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == schema.expected_revision()
    assert all(revision.revision.isdecimal() for revision in script.walk_revisions())


@both_guards
def test_never_migrated_database_is_refused_with_the_command(
    empty_database: Database, guard: Guard
) -> None:
    with pytest.raises(SchemaRevisionError, match="vibebox migrate"):
        guard(empty_database)


def test_newer_database_is_not_migrated(database: Database) -> None:
    set_revision(database, "9999")
    with pytest.raises(SchemaRevisionError, match="upgrade VibeBox"):
        schema.upgrade(database)
    with pytest.raises(SchemaRevisionError, match="upgrade VibeBox"):
        schema.downgrade(database, "base")
    assert set(Base.metadata.tables) < tables(database)


def test_unknown_revision_is_refused(database: Database) -> None:
    with pytest.raises(SchemaRevisionError, match="nowhere"):
        schema.upgrade(database, "nowhere")


def test_failed_migration_leaves_nothing_behind(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, connection: object) -> None:
        raise LookupError

    monkeypatch.setattr("app.storage.sqlite.SqliteBackend.after_migration", fail)
    monkeypatch.setattr("app.storage.postgresql.PostgresqlBackend.after_migration", fail)
    with pytest.raises(LookupError):
        schema.upgrade(empty_database)
    assert tables(empty_database) == set()


def test_rows_without_their_owner_undo_a_migration_on_sqlite(sqlite: Database) -> None:
    orphan = "INSERT INTO auth_tokens VALUES ('i','nobody','g','access','d','n','n',NULL,NULL)"
    with (
        pytest.raises(SchemaRevisionError, match="auth_tokens"),
        sqlite.migrating() as connection,
    ):
        connection.execute(text(orphan))
    with sqlite.reading() as session:
        assert session.execute(text("SELECT count(*) FROM auth_tokens")).scalar_one() == 0


def test_looking_at_the_revision_does_not_import_alembic(sqlite: Database, sqlite_url: str) -> None:
    program = (
        "import sys; from app.storage import Database, schema; "
        f"database = Database({sqlite_url!r}); database.probe(5); schema.upgrade(database); "
        "print({'alembic', 'psycopg2'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "set()"


_OF_0001 = """
INSERT INTO users (id, email, password_hash, created_at)
VALUES ('u1', 'ada@example.org', 'x', '2026-01-01 00:00:00+00:00'),
       ('u2', 'bob@example.org', 'x', '2026-01-01 00:00:00+00:00');
INSERT INTO environments (id, owner_id, name, image, status, status_changed_at, env, ports,
    published_ports, cpu_limit, memory_limit_mb, created_at, updated_at)
VALUES ('e1', 'u1', 'web', 'busybox', 'running', '2026-01-01 00:00:00+00:00', '{"A": "1"}', '[]',
        '[]', 1, 64, '2026-01-01 00:00:00+00:00', '2026-01-01 00:00:00+00:00'),
       ('e2', 'u2', 'web', 'busybox', 'stopped', '2026-01-01 00:00:00+00:00', '{}', '[]',
        '[]', 1, 64, '2026-01-01 00:00:00+00:00', '2026-01-01 00:00:00+00:00')
"""


def test_environments_of_the_first_release_move_to_projects_and_back(
    empty_database: Database,
) -> None:
    schema.upgrade(empty_database, "0001")
    with empty_database.writing() as session:
        for statement in _OF_0001.split(";"):
            session.connection().exec_driver_sql(statement)
    schema.upgrade(empty_database)
    with empty_database.reading() as session:
        found = session.scalars(
            select(Environment).options(joinedload(Environment.project)).order_by(Environment.id)
        ).all()
        assert [(it.id, it.created_by, it.project.owner_user_id) for it in found] == [
            ("e1", "u1", "u1"),
            ("e2", "u2", "u2"),
        ]
        assert (found[0].env, found[0].secrets, found[0].status) == ({"A": "1"}, {}, "running")
    schema.downgrade(empty_database, "0001")
    with empty_database.reading() as session:
        owners = session.execute(text("SELECT id, owner_id FROM environments ORDER BY id")).all()
        assert [tuple(row) for row in owners] == [("e1", "u1"), ("e2", "u2")]
    schema.upgrade(empty_database)


_OF_0005 = """
INSERT INTO users (id, email, password_hash, created_at)
VALUES ('u1', 'ada@example.org', 'x', '2026-01-01 00:00:00+00:00');
INSERT INTO auth_tokens (id, user_id, grant_id, kind, digest, created_at, expires_at, revoked_at)
VALUES ('t1', 'u1', 'alive', 'refresh', 'd1', '2026-01-01 00:00:00+00:00',
        '2036-01-31 00:00:00+00:00', NULL),
       ('t2', 'u1', 'alive', 'access', 'd2', '2026-01-03 00:00:00+00:00',
        '2026-01-03 00:15:00+00:00', NULL),
       ('t3', 'u1', 'alive', 'refresh', 'd3', '2026-01-03 00:00:00+00:00',
        '2036-02-02 00:00:00+00:00', NULL),
       ('t4', 'u1', 'over', 'refresh', 'd4', '2026-01-01 00:00:00+00:00',
        '2036-01-31 00:00:00+00:00', '2026-01-02 00:00:00+00:00')
"""


def test_logins_of_a_release_without_their_table_become_rows(empty_database: Database) -> None:
    schema.upgrade(empty_database, "0005")
    with empty_database.writing() as session:
        for statement in _OF_0005.split(";"):
            session.connection().exec_driver_sql(statement)
    schema.upgrade(empty_database)
    with empty_database.reading() as session:
        (login,) = session.scalars(select(Login))
        assert (login.id, login.user_id, login.kind) == ("alive", "u1", None)
        assert (login.created_at.day, login.last_used_at.day) == (1, 3)
        assert (login.expires_at.month, login.expires_at.day) == (2, 2)
        assert (login.ended_at, login.end_reason, login.console_digest) == (None, None, None)
    schema.downgrade(empty_database, "0005")
    schema.upgrade(empty_database)


def test_synthetic_accounts_are_marked_again_after_a_downgrade(database: Database) -> None:
    """Also where the audit log no longer has how they were made."""
    ids: dict[str, str] = {}
    with database.writing() as session:
        for name in ("probe", "ada"):
            made = add_environment(session, f"{name}@example.org")
            project = session.get_one(Project, made.project_id)
            owner = session.get_one(User, project.owner_user_id)
            owner.is_synthetic = made.is_synthetic = name == "probe"
            ids |= {owner.id: name, made.id: name}
            session.add(BusinessAccount(account_id=owner.id, way="open", signed_up_at=utc_now()))
            session.add(
                ContainerExit(
                    container_id=name,
                    run_started="1",
                    environment_id=made.id,
                    reason=ExitReason.ERROR,
                )
            )
    schema.downgrade(database, "0020")
    schema.upgrade(database)
    keys = (User.id, Environment.id, BusinessAccount.account_id, ContainerExit.environment_id)
    with database.reading() as session:
        for key in keys:
            marked = session.scalars(select(key).where(key.class_.is_synthetic)).all()
            assert [ids[id] for id in marked] == ["probe"], key
