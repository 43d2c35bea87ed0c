"""Who sends, in the words in which a receiver keeps it."""

from sqlalchemy import select

from app.storage import Database, Environment, Project


class Sources:
    """Reads what is true of an environment now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def attributes(self, environment_id: str) -> dict[str, str] | None:
        """Return the attributes of a resource; None where there is no such environment any more.

        Raises: StorageUnavailableError.
        """
        query = (
            select(Environment.name, Environment.project_id, Project.owner_team_id)
            .join(Project, Environment.project_id == Project.id)
            .where(Environment.id == environment_id)
        )
        with self._database.reading() as session:
            found = session.execute(query).one_or_none()
        if found is None:
            return None
        name, project, team = found
        attributes = {
            "service.name": name,
            "vibebox.environment": environment_id,
            "vibebox.project": project,
        }
        return attributes | ({"vibebox.team": team} if team else {})
