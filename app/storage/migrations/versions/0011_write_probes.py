"""Rows that readiness checks write to."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
serves = "0005"


def upgrade() -> None:
    op.create_table(
        "write_probes",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_write_probes"),
    )


def downgrade() -> None:
    op.drop_table("write_probes")
