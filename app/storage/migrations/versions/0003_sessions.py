"""Sessions in environments, and tickets for WebSockets."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("environment_id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=True),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("container_id", sa.String(64), nullable=False),
        sa.Column("run_started", sa.String(40), nullable=True),
        sa.Column("exec_id", sa.String(64), nullable=True),
        sa.Column("held_by", sa.String(36), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_active_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_sessions_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="SET NULL"
        ),
        sa.CheckConstraint(
            "type IN ('vscode_server', 'tmux', 'shell')", name=op.f("ck_sessions_type")
        ),
        sa.CheckConstraint(
            "status IN ('starting', 'active', 'idle', 'terminated')",
            name=op.f("ck_sessions_status"),
        ),
    )
    for columns in (
        ["environment_id", "created_at", "id"],
        ["status", "ended_at"],
        ["user_id"],
    ):
        op.create_index(op.f(f"ix_sessions_{'_'.join(columns)}"), "sessions", columns)
    op.create_table(
        "ws_tickets",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("grant_id", sa.String(36), nullable=True),
        sa.Column("api_key_id", sa.String(36), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ws_tickets"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_ws_tickets_user_id_users"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("digest", name="uq_ws_tickets_digest"),
    )
    op.create_index(op.f("ix_ws_tickets_user_id"), "ws_tickets", ["user_id"])


def downgrade() -> None:
    op.drop_table("ws_tickets")
    op.drop_table("sessions")
