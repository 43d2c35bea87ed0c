"""What Docker's flag said at the end of a run."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
serves = "0005"


def upgrade() -> None:
    op.add_column("container_exits", sa.Column("oom_killed", sa.Boolean(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("container_exits") as batch:
        batch.drop_column("oom_killed")
