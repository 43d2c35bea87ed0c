"""A schema serves the releases that it names: those go on, others are refused with what to do."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from app.core.errors import SchemaRevisionError
from app.storage import Database, schema
from app.storage.revisions import BASELINE, MIGRATIONS, OLDEST_SERVED_TABLE, REVISION_TABLE
from tests.storage.migrations import Releases

Guard = Callable[[Database], None]
both_guards = pytest.mark.parametrize(
    "guard", [schema.check, lambda database: database.probe(5)], ids=["check", "probe"]
)


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Releases]:
    with pytest.MonkeyPatch.context() as patch:
        made = Releases(tmp_path, patch)
        yield made
        made.back()


def alembic_version(database: Database) -> str:
    """What release 0.1.0 reads."""
    with database.reading() as session:
        return str(session.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


@both_guards
def test_newer_schema_that_serves_this_release_is_fine(
    database: Database, releases: Releases, guard: Guard
) -> None:
    newer = releases.add(serves=releases.ours)
    schema.upgrade(database)
    guard(database)
    releases.back()
    guard(database)
    assert schema.current_state(database) == (newer, releases.ours)


@both_guards
@pytest.mark.parametrize("named", [True, False], ids=["which serves its own only", "says nothing"])
def test_newer_schema_that_does_not_serve_it_is_refused(
    database: Database, releases: Releases, guard: Guard, named: bool
) -> None:
    releases.add(serves=releases.ours)
    newer = releases.add(serves=f"{int(releases.ours) + 2:04}" if named else None)
    schema.upgrade(database)
    releases.back()
    with pytest.raises(SchemaRevisionError, match="upgrade VibeBox") as caught:
        guard(database)
    assert newer in caught.value.detail
    assert releases.ours in caught.value.detail


@both_guards
def test_older_schema_is_refused_with_the_command(
    database: Database, releases: Releases, guard: Guard
) -> None:
    newer = releases.add(serves=releases.ours)
    with pytest.raises(SchemaRevisionError, match="run `vibebox migrate`") as caught:
        guard(database)
    assert newer in caught.value.detail


def test_migrating_with_the_older_release_changes_nothing(
    database: Database, releases: Releases
) -> None:
    newer = releases.add(serves=releases.ours)
    schema.upgrade(database)
    releases.back()
    schema.upgrade(database)
    assert schema.current_revision(database) == newer


def test_older_release_does_not_take_a_newer_schema_back(
    database: Database, releases: Releases
) -> None:
    newer = releases.add(serves=releases.ours)
    schema.upgrade(database)
    releases.back()
    for step in (schema.downgrade, schema.downgrade_losses):
        with pytest.raises(SchemaRevisionError, match="release that upgraded it"):
            step(database, "base")
    assert schema.current_revision(database) == newer


def test_release_0_1_0_finds_its_revision_in_every_schema_that_serves_it(
    empty_database: Database, releases: Releases
) -> None:
    schema.upgrade(empty_database, BASELINE)
    assert alembic_version(empty_database) == BASELINE
    releases.add(serves=BASELINE)
    newer = releases.add(serves=BASELINE)
    schema.upgrade(empty_database)
    assert alembic_version(empty_database) == BASELINE
    assert schema.current_state(empty_database) == (newer, BASELINE)


def test_schema_taken_back_to_the_baseline_is_as_release_0_1_0_made_it(
    empty_database: Database, releases: Releases
) -> None:
    schema.upgrade(empty_database, BASELINE)
    before = set(inspect(empty_database.engine).get_table_names())
    releases.add(serves=BASELINE)
    schema.upgrade(empty_database)
    assert REVISION_TABLE in inspect(empty_database.engine).get_table_names()
    schema.downgrade(empty_database, BASELINE)
    assert set(inspect(empty_database.engine).get_table_names()) == before
    assert schema.current_state(empty_database) == (BASELINE, BASELINE)
    schema.upgrade(empty_database)
    schema.check(empty_database)


def test_part_that_release_0_1_0_took_back_is_named(database: Database, releases: Releases) -> None:
    """Its `vibebox downgrade` knows nothing of later tables."""
    releases.add(serves=BASELINE)
    schema.upgrade(database)
    with database.writing() as session:
        session.execute(text(f"UPDATE {OLDEST_SERVED_TABLE} SET version_num = '0004'"))
    for step in (schema.check, schema.upgrade, lambda it: schema.downgrade_losses(it, "base")):
        with pytest.raises(SchemaRevisionError, match="restore the copy"):
            step(database)


def test_losses_are_told_and_not_made(database: Database, releases: Releases) -> None:
    releases.add(serves=releases.ours)
    schema.upgrade(database)
    with database.writing() as session:
        session.execute(text(f"INSERT INTO of_{schema.expected_revision()} VALUES (1), (2)"))
    lost = schema.downgrade_losses(database, releases.ours)
    newest = schema.expected_revision()
    assert [str(loss) for loss in lost] == [
        f"of_{newest}, 2 rows",
        f"users.since_{newest}, of 0 rows",
    ]
    schema.check(database)
    with database.reading() as session:
        assert session.execute(text(f"SELECT count(*) FROM of_{newest}")).scalar_one() == 2


def test_each_migration_of_this_release_says_whom_it_serves() -> None:
    """A migration without it would serve its own release alone: an upgrade with a gap."""
    served = [BASELINE]
    for revision, module in later_migrations():
        assert isinstance(getattr(module, "serves", None), str), f"{revision} lacks `serves`"
        assert served[-1] <= module.serves <= revision
        served.append(module.serves)


def later_migrations() -> list[tuple[str, ModuleType]]:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    walked = ScriptDirectory.from_config(config).walk_revisions()
    return [(it.revision, it.module) for it in reversed([*walked]) if it.revision > BASELINE]
