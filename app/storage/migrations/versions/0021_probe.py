"""The synthetic user: its rounds, and the mark of its account and of what that has made."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None
serves = "0005"

_MARKED = ("users", "environments", "container_exits", "business_accounts")


def upgrade() -> None:
    for table in _MARKED:
        op.add_column(
            table,
            sa.Column("is_synthetic", sa.Boolean(), server_default=sa.false(), nullable=False),
        )
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "probe_rounds",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("place", sa.String(32), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.Column("step", sa.String(16), nullable=True),
        sa.Column("says", sa.Text(), nullable=True),
        sa.Column("next_step", sa.Text(), nullable=True),
        sa.Column("seconds", sa.JSON(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_probe_rounds"),
    )
    op.create_index("ix_probe_rounds_finished_at", "probe_rounds", ["finished_at"])
    op.create_index("ix_probe_rounds_counted", "probe_rounds", ["counted"])


def downgrade() -> None:
    op.drop_table("probe_rounds")
    for table in reversed(_MARKED):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("is_synthetic")
