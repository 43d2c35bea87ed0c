"""Terminals of sessions, and sessions that are to end."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
serves = "0005"


def upgrade() -> None:
    op.create_table(
        "terminals",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("session_id", sa.String(36), nullable=False),
        sa.Column("held_by", sa.String(36), nullable=True),
        sa.Column("exec_id", sa.String(64), nullable=True),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name="fk_terminals_session_id_sessions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_terminals"),
    )
    op.create_index(op.f("ix_terminals_session_id"), "terminals", ["session_id"])
    op.add_column(
        "sessions", sa.Column("end_requested_at", sa.DateTime(timezone=True), nullable=True)
    )


def downgrade() -> None:
    with op.batch_alter_table("sessions") as batch:
        batch.drop_column("end_requested_at")
    op.drop_table("terminals")
