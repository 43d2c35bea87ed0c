"""Numbers of container log lines, and how far they are sent to a receiver."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
serves = "0005"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Lines that an earlier release stores have neither: they are not sent.
    op.add_column("log_entries", sa.Column("source_id", sa.BigInteger(), nullable=True))
    op.add_column("log_entries", sa.Column("seq", sa.BigInteger(), nullable=True))
    op.create_table(
        "log_sources",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("container_id", sa.String(64), nullable=False),
        sa.Column("environment_id", sa.String(36), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("shipped", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_log_sources"),
        sa.UniqueConstraint("container_id", name="uq_log_sources_container_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "log_shipping",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("sending_to", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("slot", name="pk_log_shipping"),
    )


def downgrade() -> None:
    op.drop_table("log_shipping")
    op.drop_table("log_sources")
    with op.batch_alter_table("log_entries") as table:
        table.drop_column("seq")
        table.drop_column("source_id")
