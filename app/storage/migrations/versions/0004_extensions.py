"""Extensions of environments, VS Code servers among the sessions, and sessions begun at a start."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "extensions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("environment_id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("uploaded", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("container_id", sa.String(64), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_extensions"),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_extensions_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_extensions_user_id_users"), ondelete="SET NULL"
        ),
        sa.UniqueConstraint(
            "environment_id", "name", name=op.f("uq_extensions_environment_id_name")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'installing', 'installed', 'failed', 'uninstalling')",
            name=op.f("ck_extensions_state"),
        ),
    )
    for columns in (["environment_id", "created_at", "id"], ["user_id"], ["state"]):
        op.create_index(op.f(f"ix_extensions_{'_'.join(columns)}"), "extensions", columns)
    op.create_table(
        "extension_packages",
        sa.Column("extension_id", sa.String(36), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("extension_id", name="pk_extension_packages"),
        sa.ForeignKeyConstraint(
            ["extension_id"],
            ["extensions.id"],
            name=op.f("fk_extension_packages_extension_id_extensions"),
            ondelete="CASCADE",
        ),
    )
    op.add_column("sessions", sa.Column("connection_url", sa.String(300), nullable=True))
    op.add_column("environments", sa.Column("sessions_run", sa.String(40), nullable=True))
    # What runs already was started before sessions came with a start.
    op.execute("UPDATE environments SET sessions_run = run_started")


def downgrade() -> None:
    op.drop_column("environments", "sessions_run")
    op.drop_column("sessions", "connection_url")
    op.drop_table("extension_packages")
    op.drop_table("extensions")
