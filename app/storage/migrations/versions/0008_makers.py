"""Whose teams are and pulls are asked by, so that shares have an owner who cannot be multiplied."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
serves = "0005"


def upgrade() -> None:
    op.add_column("teams", sa.Column("created_by", sa.String(36), nullable=True))
    op.create_index("ix_teams_created_by", "teams", ["created_by"])
    op.add_column("image_pulls", sa.Column("requested_by", sa.String(36), nullable=True))
    # Docker rounded these to no limit at all.
    op.execute("UPDATE environments SET cpu_limit = 0.01 WHERE cpu_limit < 0.01")


def downgrade() -> None:
    op.drop_column("image_pulls", "requested_by")
    op.drop_index("ix_teams_created_by", "teams")
    op.drop_column("teams", "created_by")
