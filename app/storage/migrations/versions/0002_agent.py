"""Teams, projects and API keys; what the agent records of containers and their logs."""

import uuid
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NEW_TABLES = (
    "audit_entries",
    "event_counts",
    "leases",
    "processes",
    "installation",
    "log_usage",
    "log_cursors",
    "log_entries",
    "image_pulls",
    "container_exits",
    "port_reservations",
)
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PERSONAL = "personal"  # the project that each account begins with


def upgrade() -> None:
    _extend_users()
    _create_api_keys()
    _create_teams()
    _create_projects()
    _extend_environments()
    _create_container_records()
    _create_logs()
    _create_service_tables()
    op.bulk_insert(
        sa.table("installation", sa.column("id"), sa.column("created_at", _moment("").type)),
        [{"id": str(uuid.uuid4()), "created_at": datetime.now(UTC)}],
    )


def downgrade() -> None:
    for table in _NEW_TABLES:
        op.drop_table(table)
    _restore_environments()
    for table in ("projects", "memberships", "teams", "api_keys"):
        op.drop_table(table)
    with op.batch_alter_table("users") as users:
        for column in ("max_memory_mb", "max_cpus", "max_environments", "is_operator"):
            users.drop_column(column)


def _id(name: str = "id", length: int = 36, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _refers(table: str, column: str, to: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{to}")
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete=ondelete)


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}"))


def _quota() -> list[sa.Column[Any]]:
    return [
        sa.Column("max_environments", sa.Integer(), nullable=True),
        sa.Column("max_cpus", sa.Double(), nullable=True),
        sa.Column("max_memory_mb", sa.Integer(), nullable=True),
    ]


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _extend_users() -> None:
    op.add_column(
        "users",
        sa.Column("is_operator", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    for column in _quota():
        op.add_column("users", column)


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        _id(),
        _id("user_id"),
        _id("name", 63),
        _id("prefix", 16),
        _id("digest", 64),
        sa.Column("scopes", sa.JSON(), nullable=False),
        _moment("created_at"),
        _moment("expires_at", nullable=True),
        _moment("last_used_at", nullable=True),
        _moment("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        _refers("api_keys", "user_id", "users"),
        sa.UniqueConstraint("user_id", "name", name="uq_api_keys_user_id_name"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )


def _create_teams() -> None:
    op.create_table(
        "teams",
        _id(),
        _id("name", 63),
        *_quota(),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_teams"),
        sa.UniqueConstraint("name", name="uq_teams_name"),
    )
    op.create_table(
        "memberships",
        _id("team_id"),
        _id("user_id"),
        _id("role", 16),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("team_id", "user_id", name="pk_memberships"),
        _refers("memberships", "team_id", "teams"),
        _refers("memberships", "user_id", "users"),
        _one_of("memberships", "role", "admin", "developer", "viewer"),
    )
    _index("memberships", "user_id")


def _create_projects() -> None:
    op.create_table(
        "projects",
        _id(),
        _id("name", 63),
        _id("owner_user_id", nullable=True),
        _id("owner_team_id", nullable=True),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        _refers("projects", "owner_user_id", "users"),
        _refers("projects", "owner_team_id", "teams"),
        sa.UniqueConstraint("owner_user_id", "name", name="uq_projects_owner_user_id_name"),
        sa.UniqueConstraint("owner_team_id", "name", name="uq_projects_owner_team_id_name"),
        sa.CheckConstraint(
            "(owner_user_id IS NULL) <> (owner_team_id IS NULL)", name=op.f("ck_projects_one_owner")
        ),
    )
    _index("projects", "owner_team_id")


def _give_each_owner_a_project() -> None:
    """Make the personal project of every account, and put its environments there."""
    connection = op.get_bind()
    projects = sa.table(
        "projects",
        sa.column("id"),
        sa.column("name"),
        sa.column("owner_user_id"),
        sa.column("created_at", sa.DateTime(timezone=True)),
    )
    for (user_id,) in connection.execute(sa.text("SELECT id FROM users")).fetchall():
        project_id = str(uuid.uuid4())
        connection.execute(
            projects.insert().values(
                id=project_id,
                name=_PERSONAL,
                owner_user_id=user_id,
                created_at=datetime.now(UTC),
            )
        )
        connection.execute(
            sa.text(
                "UPDATE environments SET project_id = :project, created_by = :owner "
                "WHERE owner_id = :owner"
            ),
            {"project": project_id, "owner": user_id},
        )


def _extend_environments() -> None:
    for column in (
        _id("project_id", nullable=True),
        _id("created_by", nullable=True),
        _id("held_by", nullable=True),
        sa.Column("pull", sa.String(16), server_default="missing", nullable=False),
        sa.Column("secrets", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("volume_path", sa.String(255), nullable=True),
        _moment("expires_at", nullable=True),
        sa.Column("run_started", sa.String(40), nullable=True),
        sa.Column("end_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("exit_reason", sa.String(16), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        _moment("exited_at", nullable=True),
    ):
        op.add_column("environments", column)
    _give_each_owner_a_project()
    op.drop_index("ix_environments_owner_id_created_at_id", "environments")
    with op.batch_alter_table("environments") as environments:
        environments.drop_constraint("uq_environments_owner_id_name", type_="unique")
        environments.drop_constraint("fk_environments_owner_id_users", type_="foreignkey")
        environments.drop_column("owner_id")
        environments.alter_column("project_id", existing_type=sa.String(36), nullable=False)
        environments.create_foreign_key(
            op.f("fk_environments_project_id_projects"),
            "projects",
            ["project_id"],
            ["id"],
            ondelete="CASCADE",
        )
        environments.create_foreign_key(
            op.f("fk_environments_created_by_users"),
            "users",
            ["created_by"],
            ["id"],
            ondelete="SET NULL",
        )
        environments.create_unique_constraint(
            op.f("uq_environments_project_id_name"), ["project_id", "name"]
        )
        environments.create_check_constraint(
            op.f("ck_environments_pull"), "pull IN ('missing', 'always', 'never')"
        )
        environments.create_check_constraint(
            op.f("ck_environments_exit_reason"),
            "exit_reason IN ('user', 'oom', 'error', 'killed', 'completed')",
        )
    _index("environments", "project_id", "created_at", "id")
    _index("environments", "created_by")
    _index("environments", "expires_at")


def _restore_environments() -> None:
    """Give environments back to accounts; those of teams go to whoever made them, or are lost."""
    op.add_column("environments", _id("owner_id", nullable=True))
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "UPDATE environments SET owner_id = coalesce("
            "(SELECT owner_user_id FROM projects WHERE projects.id = environments.project_id), "
            "created_by)"
        )
    )
    connection.execute(sa.text("DELETE FROM environments WHERE owner_id IS NULL"))
    # Names are unique within a project; of an owner's, all but one of the same name are renamed.
    connection.execute(
        sa.text(
            "UPDATE environments SET name = substr(name, 1, 54) || '-' || substr(id, 1, 8) "
            "WHERE EXISTS (SELECT 1 FROM environments AS other WHERE other.name = environments.name"
            " AND other.owner_id = environments.owner_id AND other.id < environments.id)"
        )
    )
    for columns in ("project_id_created_at_id", "created_by", "expires_at"):
        op.drop_index(f"ix_environments_{columns}", "environments")
    with op.batch_alter_table("environments") as environments:
        environments.drop_constraint("uq_environments_project_id_name", type_="unique")
        environments.drop_constraint("fk_environments_project_id_projects", type_="foreignkey")
        environments.drop_constraint("fk_environments_created_by_users", type_="foreignkey")
        environments.drop_constraint(op.f("ck_environments_pull"), type_="check")
        environments.drop_constraint(op.f("ck_environments_exit_reason"), type_="check")
        for column in (
            "project_id",
            "created_by",
            "held_by",
            "pull",
            "secrets",
            "volume_path",
            "expires_at",
            "run_started",
            "end_requested",
            "exit_reason",
            "exit_code",
            "exited_at",
        ):
            environments.drop_column(column)
        environments.alter_column("owner_id", existing_type=sa.String(36), nullable=False)
        environments.create_foreign_key(
            "fk_environments_owner_id_users", "users", ["owner_id"], ["id"], ondelete="CASCADE"
        )
        environments.create_unique_constraint("uq_environments_owner_id_name", ["owner_id", "name"])
    op.create_index(
        "ix_environments_owner_id_created_at_id", "environments", ["owner_id", "created_at", "id"]
    )


def _create_container_records() -> None:
    op.create_table(
        "port_reservations",
        sa.Column("host_port", sa.Integer(), autoincrement=False, nullable=False),
        _id("protocol", 8),
        _id("environment_id"),
        sa.PrimaryKeyConstraint("host_port", "protocol", name="pk_port_reservations"),
        _refers("port_reservations", "environment_id", "environments"),
    )
    _index("port_reservations", "environment_id")
    op.create_table(
        "container_exits",
        _id("container_id", 64),
        _id("run_started", 40),
        _id("environment_id"),
        _id("reason", 16),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        _moment("exited_at"),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("container_id", "run_started", name="pk_container_exits"),
        _one_of("container_exits", "reason", "user", "oom", "error", "killed", "completed"),
    )
    _index("container_exits", "environment_id")
    _index("container_exits", "counted")
    op.create_table(
        "image_pulls",
        _id(),
        _id("environment_id"),
        _id("image", 255),
        _id("status", 16),
        sa.Column("layers", sa.JSON(), nullable=False),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False),
        sa.Column("bytes_total", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        _moment("requested_at"),
        _moment("started_at", nullable=True),
        _moment("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_image_pulls"),
        _refers("image_pulls", "environment_id", "environments"),
        _one_of("image_pulls", "status", "pending", "pulling", "done", "failed"),
    )
    _index("image_pulls", "environment_id")
    _index("image_pulls", "status")


def _create_logs() -> None:
    op.create_table(
        "log_entries",
        sa.Column("id", _SERIAL, nullable=False),
        _id("environment_id"),
        _id("stream", 16),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_log_entries"),
        _refers("log_entries", "environment_id", "environments"),
        _one_of("log_entries", "stream", "stdout", "stderr"),
        sqlite_autoincrement=True,
    )
    _index("log_entries", "environment_id", "id")
    _index("log_entries", "at_ns")
    op.create_table(
        "log_cursors",
        _id("container_id", 64),
        _id("stream", 16),
        _id("environment_id"),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("container_id", "stream", name="pk_log_cursors"),
        _refers("log_cursors", "environment_id", "environments"),
        _one_of("log_cursors", "stream", "stdout", "stderr"),
    )
    _index("log_cursors", "environment_id")
    op.create_table(
        "log_usage",
        _id("environment_id"),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", name="pk_log_usage"),
        _refers("log_usage", "environment_id", "environments"),
    )


def _create_service_tables() -> None:
    op.create_table(
        "installation",
        _id(),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )
    op.create_table(
        "processes",
        _id(),
        _id("place", 32),
        _moment("started_at"),
        _moment("seen_at"),
        sa.PrimaryKeyConstraint("id", name="pk_processes"),
    )
    _index("processes", "seen_at")
    op.create_table(
        "leases",
        _id("name", 32),
        _id("holder"),
        sa.Column("epoch", sa.Integer(), nullable=False),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "event_counts",
        _id("directory"),
        _id("family", 64),
        _id("value", 32),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("directory", "family", "value", name="pk_event_counts"),
    )
    _create_audit_entries()


def _create_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", _SERIAL, nullable=False),
        _moment("at"),
        _id("actor_id", nullable=True),
        _id("actor", 254),
        _id("api_key_id", nullable=True),
        _id("action", 64),
        _id("target_kind", 32),
        _id("target_id", nullable=True),
        _id("target_name", 254, nullable=True),
        _id("project_id", nullable=True),
        _id("team_id", nullable=True),
        _id("address", 64, nullable=True),
        _id("request_id", 128, nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
    )
    _index("audit_entries", "at")
    _index("audit_entries", "team_id", "id")
    _index("audit_entries", "actor_id", "id")
