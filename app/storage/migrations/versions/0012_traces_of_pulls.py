"""The trace of the request that asked for a pull."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
serves = "0005"


def upgrade() -> None:
    op.add_column("image_pulls", sa.Column("traceparent", sa.String(55), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("image_pulls") as table:
        table.drop_column("traceparent")
