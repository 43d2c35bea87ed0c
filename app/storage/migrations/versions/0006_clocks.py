"""What clocks showed, and what the leading agent reports."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
serves = "0005"


def upgrade() -> None:
    op.create_table(
        "clock_readings",
        sa.Column("boot_id", sa.String(36), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("booted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("boot_id", "hour", name="pk_clock_readings"),
    )
    op.create_table(
        "agent_reports",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_agent_reports"),
    )


def downgrade() -> None:
    op.drop_table("agent_reports")
    op.drop_table("clock_readings")
