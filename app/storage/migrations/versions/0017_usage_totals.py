"""Totals of use hold more than 64 bits: 500 environments run 292 years in seven months."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
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
    "oom_kills",
    "network_rx_bytes",
    "network_tx_bytes",
    "block_read_bytes",
    "block_write_bytes",
)


def upgrade() -> None:
    _change(sa.Numeric(38, 0))


def downgrade() -> None:
    # What does not fit any more stays at the largest that does.
    if op.get_bind().dialect.name == "postgresql":
        largest = 2**63 - 1
        kept = ", ".join(f"{name} = least({name}, {largest})" for name in _SUMS)
        op.execute(f"UPDATE usage_totals SET {kept}")
    _change(sa.BigInteger())


def _change(to: sa.types.TypeEngine[Any]) -> None:
    """Change them where a type bounds what is in a column; SQLite goes on with floats by itself."""
    if op.get_bind().dialect.name == "postgresql":
        changes = ", ".join(f"ALTER COLUMN {name} TYPE {to}" for name in _SUMS)
        op.execute(f"ALTER TABLE usage_totals {changes}")
