"""Alembic's entry point; it runs inside the transaction that `app.storage.schema` has opened.

Alembic sees that transaction and leaves its commit to us, so that a migration is done as a whole or
not at all, on both databases.
"""

from alembic import context

from app.storage.models import Base
from app.storage.revisions import REVISION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=REVISION_TABLE,
    # SQLite alters most things only by copying the table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
