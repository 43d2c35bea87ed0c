"""The heartbeat of alerting: when the last one came, and where its way is cut."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None
serves = "0005"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "alert_heartbeats",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("expected_since", moment, nullable=False),
        sa.Column("heard_at", moment, nullable=True),
        sa.Column("evaluated", sa.String(64), nullable=True),
        sa.Column("beat_at", moment, nullable=True),
        sa.Column("link", sa.String(32), nullable=True),
        sa.Column("says", sa.Text(), nullable=True),
        sa.Column("next_step", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_alert_heartbeats"),
    )


def downgrade() -> None:
    op.drop_table("alert_heartbeats")
