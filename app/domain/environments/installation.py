"""The id of this VibeBox, by which its containers are told from those of another one."""

from sqlalchemy import select

from app.storage import Database, Installation


class InstallationId:
    """Reads the id when it is first asked for, and keeps it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._id: str | None = None

    def __call__(self) -> str:
        """Return the id. Raises: StorageUnavailableError."""
        if self._id is None:
            with self._database.reading() as session:
                self._id = session.scalars(select(Installation.id)).one()
        return self._id
