"""What an account or a team may use in a month."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None
serves = "0005"

_COLUMNS = ("max_cpu_hours", "max_memory_gib_hours")


def upgrade() -> None:
    for table in ("users", "teams"):
        for name in _COLUMNS:
            op.add_column(table, sa.Column(name, sa.Double(), nullable=True))


def downgrade() -> None:
    for table in ("users", "teams"):
        with op.batch_alter_table(table) as batch:
            for name in _COLUMNS:
                batch.drop_column(name)
