"""What environments use, by hour and day, and how far each run is booked."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
serves = "0005"

_SUMS = (
    "running_ns",
    "unread_ns",
    "runs",
    "unread_runs",
    "cpu_ns",
    "throttled_ns",
    "memory_byte_seconds",
    "memory_peak_bytes",
    "memory_limit_bytes",
    "oom_kills",
    "network_rx_bytes",
    "network_tx_bytes",
    "block_read_bytes",
    "block_write_bytes",
)
_TOTALS = (
    "cpu_ns",
    "throttled_ns",
    "memory_bytes",
    "memory_peak_bytes",
    "oom_kills",
    "network_rx_bytes",
    "network_tx_bytes",
    "block_read_bytes",
    "block_write_bytes",
)


def upgrade() -> None:
    op.create_table(
        "usage_rows",
        sa.Column("environment_id", sa.String(36), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period", sa.String(16), nullable=False),
        sa.Column("environment", sa.String(63), nullable=True),
        sa.Column("project_id", sa.String(36), nullable=True),
        sa.Column("project", sa.String(63), nullable=True),
        sa.Column("team_id", sa.String(36), nullable=True),
        sa.Column("team", sa.String(63), nullable=True),
        sa.Column("account_id", sa.String(36), nullable=True),
        sa.Column("account", sa.String(254), nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _SUMS),
        sa.CheckConstraint("period IN ('hour', 'day')", name=op.f("ck_usage_rows_period")),
        sa.PrimaryKeyConstraint("environment_id", "starts_at", "period", name="pk_usage_rows"),
    )
    for column in ("team_id", "project_id", "account_id"):
        op.create_index(f"ix_usage_rows_{column}_starts_at", "usage_rows", [column, "starts_at"])
    op.create_index("ix_usage_rows_starts_at", "usage_rows", ["starts_at"])
    op.create_table(
        "usage_totals",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(63), nullable=True),
        sa.Column("project", sa.String(63), nullable=True),
        sa.Column("team", sa.String(63), nullable=True),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in _SUMS
            if name not in ("memory_peak_bytes", "memory_limit_bytes")
        ),
        sa.CheckConstraint("kind IN ('environment', 'team')", name=op.f("ck_usage_totals_kind")),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_usage_totals"),
    )
    op.create_table(
        "usage_cursors",
        sa.Column("container_id", sa.String(64), nullable=False),
        sa.Column("run_started", sa.String(40), nullable=False),
        sa.Column("environment_id", sa.String(36), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("read_at_ns", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _TOTALS),
        sa.PrimaryKeyConstraint("container_id", "run_started", name="pk_usage_cursors"),
    )
    # What ended before there was a ledger is not in it: its end is nothing that is to be booked.
    zeros = ", ".join("0" for _ in _TOTALS)
    op.execute(
        "INSERT INTO usage_cursors (container_id, run_started, environment_id, ended, read_at_ns, "
        f"{', '.join(_TOTALS)}) SELECT container_id, run_started, environment_id, true, 0, {zeros} "
        "FROM container_exits"
    )


def downgrade() -> None:
    op.drop_table("usage_cursors")
    op.drop_table("usage_totals")
    op.drop_table("usage_rows")
