"""How people come to use the service: first moments of accounts, and sums of them.

The agent fills the tables from the audit log, and from `users` where that does not reach back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
serves = "0005"

_SUMS = (
    "signed_up",
    "environment",
    "started",
    "terminal",
    "vscode",
    "shell",
    "second_week",
    "then_started",
    "then_shell",
    "then_second_week",
    "shell_us",
    "shell_within_60",
    "shell_within_300",
    "shell_within_900",
    "shell_within_3600",
    "shell_within_14400",
    "shell_within_86400",
    "shell_within_604800",
)
_MOMENTS = ("environment_at", "started_at", "terminal_at", "vscode_at", "second_week_at")
_OF_A_DAY = ("active_1", "active_7", "active_30", "second_week_over", "returned")


def _numbers(names: tuple[str, ...]) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "business_accounts",
        sa.Column("account_id", sa.String(36), nullable=False),
        sa.Column("way", sa.String(32), nullable=False),
        sa.Column("signed_up_at", moment, nullable=False),
        *(sa.Column(name, moment, nullable=True) for name in _MOMENTS),
        sa.Column("active_day", sa.Integer(), nullable=True),
        sa.Column("active_days", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", moment, nullable=True),
        sa.Column("gone_entry", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name="pk_business_accounts"),
    )
    op.create_index("ix_business_accounts_gone_entry", "business_accounts", ["gone_entry"])
    op.create_table(
        "business_cohorts",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("way", sa.String(32), nullable=False),
        *_numbers(_SUMS),
        sa.PrimaryKeyConstraint("day", "way", name="pk_business_cohorts"),
    )
    op.create_table(
        "business_totals",
        sa.Column("way", sa.String(32), nullable=False),
        *_numbers(_SUMS),
        sa.PrimaryKeyConstraint("way", name="pk_business_totals"),
    )
    op.create_table(
        "business_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        *_numbers(_OF_A_DAY),
        sa.PrimaryKeyConstraint("day", name="pk_business_days"),
    )
    op.create_table(
        "business_cursor",
        sa.Column("id", sa.Integer(), nullable=False),
        *_numbers(("older", "newer")),
        sa.Column("turned_at", moment, nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("read_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_business_cursor"),
    )


def downgrade() -> None:
    for name in ("cursor", "days", "totals", "cohorts", "accounts"):
        op.drop_table(f"business_{name}")
