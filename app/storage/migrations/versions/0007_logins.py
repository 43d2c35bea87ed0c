"""Logins as rows, accounts that can be disabled, invitations. Release 0.1.0 serves on it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
serves = "0005"

# One row of each login that has not ended; of which kind it is, nobody wrote down.
_LOGINS_OF_TOKENS = """
INSERT INTO logins (id, user_id, created_at, last_used_at, expires_at)
SELECT grant_id, user_id, min(created_at), max(created_at), max(expires_at)
FROM auth_tokens WHERE revoked_at IS NULL GROUP BY grant_id, user_id
"""


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "logins",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("last_used_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("address", sa.String(64), nullable=True),
        sa.Column("user_agent", sa.String(200), nullable=True),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("end_reason", sa.String(16), nullable=True),
        sa.Column("console_digest", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_logins"),
        _refers_to_users("logins", "user_id", "CASCADE"),
    )
    for column in ("user_id", "expires_at", "ended_at"):
        op.create_index(op.f(f"ix_logins_{column}"), "logins", [column])
    op.execute(_LOGINS_OF_TOKENS)
    op.create_index(
        op.f("ix_auth_tokens_revoked"),
        "auth_tokens",
        ["grant_id"],
        sqlite_where=sa.text("revoked_at IS NOT NULL"),
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
    )
    op.add_column("users", sa.Column("disabled_at", moment, nullable=True))
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("operator", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_by", sa.String(36), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("used_at", moment, nullable=True),
        sa.Column("used_by", sa.String(36), nullable=True),
        sa.Column("revoked_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("digest", name=op.f("uq_invitations_digest")),
        _refers_to_users("invitations", "created_by", "SET NULL"),
        _refers_to_users("invitations", "used_by", "SET NULL"),
    )
    for column in ("created_by", "expires_at", "used_by"):
        op.create_index(op.f(f"ix_invitations_{column}"), "invitations", [column])


def downgrade() -> None:
    op.drop_table("invitations")
    op.drop_column("users", "disabled_at")
    op.drop_index(op.f("ix_auth_tokens_revoked"), "auth_tokens")
    op.drop_table("logins")


def _refers_to_users(table: str, column: str, when_deleted: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], ["users.id"], name=op.f(f"fk_{table}_{column}_users"), ondelete=when_deleted
    )
