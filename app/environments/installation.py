"""Which VibeBox this is: its containers and volumes carry the id."""

from weakref import WeakKeyDictionary

from sqlalchemy import select

from app.storage import Database, Installation

# It never changes in the life of a database; two threads that read it at once read the same.
_known: WeakKeyDictionary[Database, str] = WeakKeyDictionary()


def installation_id(database: Database) -> str:
    """Return the id of the installation, read once for each database."""
    if database not in _known:
        with database.reading() as session:
            _known[database] = session.scalars(select(Installation.id)).one()
    return _known[database]
