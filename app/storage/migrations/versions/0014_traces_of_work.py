"""The traces of the requests that ask the agent for something."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
serves = "0005"

_TABLES = ("environments", "extensions", "sessions")


def upgrade() -> None:
    for name in _TABLES:
        op.add_column(name, sa.Column("traceparent", sa.String(55), nullable=True))


def downgrade() -> None:
    for name in _TABLES:
        with op.batch_alter_table(name) as table:
            table.drop_column("traceparent")
