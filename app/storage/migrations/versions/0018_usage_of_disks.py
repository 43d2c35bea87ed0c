"""What volumes and writable layers hold, over time, and their last sizes."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
serves = "0005"

_SUMS = ("volume_byte_seconds", "layer_byte_seconds")


def upgrade() -> None:
    total = sa.BigInteger().with_variant(sa.Numeric(38, 0), "postgresql")
    for table, type_ in (("usage_rows", sa.BigInteger()), ("usage_totals", total)):
        for name in _SUMS:
            op.add_column(table, sa.Column(name, type_, nullable=False, server_default="0"))
    op.create_table(
        "usage_disks",
        sa.Column("environment_id", sa.String(36), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("volume_bytes", sa.BigInteger(), nullable=False),
        sa.Column("layer_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", name="pk_usage_disks"),
    )


def downgrade() -> None:
    op.drop_table("usage_disks")
    for table in ("usage_rows", "usage_totals"):
        with op.batch_alter_table(table) as batch:
            for name in _SUMS:
                batch.drop_column(name)
