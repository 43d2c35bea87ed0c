"""The synthetic user: its rounds, and the mark of its account and of what that has made.

Whose account it is says its mark alone, which a schema of before cannot hold: the audit log keeps it
from a downgrade to the next upgrade.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None
serves = "0005"

_MARKED = ("users", "environments", "container_exits", "business_accounts")
_UNMARKED = "account.unmark"
"""The action in the audit log."""
_USERS = sa.table("users", sa.column("id"), sa.column("email"), sa.column("is_synthetic"))
_ENTRIES = sa.table(
    "audit_entries",
    sa.column("at", sa.DateTime(timezone=True)),
    *(sa.column(name) for name in ("actor", "action", "target_kind", "target_id", "target_name")),
    sa.column("details", sa.JSON()),
)


def upgrade() -> None:
    for table in _MARKED:
        op.add_column(
            table,
            sa.Column("is_synthetic", sa.Boolean(), server_default=sa.false(), nullable=False),
        )
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "probe_rounds",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("place", sa.String(32), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.Column("step", sa.String(16), nullable=True),
        sa.Column("says", sa.Text(), nullable=True),
        sa.Column("next_step", sa.Text(), nullable=True),
        sa.Column("seconds", sa.JSON(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_probe_rounds"),
    )
    op.create_index("ix_probe_rounds_finished_at", "probe_rounds", ["finished_at"])
    op.create_index("ix_probe_rounds_counted", "probe_rounds", ["counted"])
    _restore_marks()


def downgrade() -> None:
    _note_marks()
    op.drop_table("probe_rounds")
    for table in reversed(_MARKED):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("is_synthetic")


def _note_marks() -> None:
    """Note whose accounts are synthetic, as long as that can be seen."""
    connection = op.get_bind()
    marked = sa.select(_USERS.c.id, _USERS.c.email).where(_USERS.c.is_synthetic == sa.true())
    for id, email in connection.execute(marked).all():
        entry = {"at": sa.func.now(), "actor": "vibebox", "action": _UNMARKED, "details": {}}
        target = {"target_kind": "account", "target_id": id, "target_name": email}
        connection.execute(sa.insert(_ENTRIES).values(**entry, **target))


def _restore_marks() -> None:
    """Mark what was marked before a downgrade."""
    said = sa.select(_ENTRIES.c.target_id).where(_ENTRIES.c.action == _UNMARKED)
    accounts = sorted(set(op.get_bind().scalars(said)))
    projects = sa.table("projects", sa.column("id"), sa.column("owner_user_id"))
    environments = sa.table("environments", sa.column("id"), sa.column("project_id"))
    theirs = sa.select(projects.c.id).where(projects.c.owner_user_id.in_(accounts))
    made = sa.select(environments.c.id).where(environments.c.project_id.in_(theirs))
    _mark("users", "id", accounts)
    _mark("business_accounts", "account_id", accounts)
    _mark("environments", "project_id", theirs)
    _mark("container_exits", "environment_id", made)


def _mark(table: str, column: str, of: Any) -> None:
    marked = sa.table(table, sa.column(column), sa.column("is_synthetic"))
    op.execute(sa.update(marked).where(marked.c[column].in_(of)).values(is_synthetic=sa.true()))
