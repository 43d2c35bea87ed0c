"""Who sends, in the words in which a receiver keeps it."""

from sqlalchemy import select

from app.storage import Database, Environment, Project


class Sources:
    """Reads what is true of an environment now."""

    def __init__(self, database: Database, service: str) -> None:
        """service: what the service itself is called; no environment is, nor as its containers'
        lines are."""
        self._database = database
        self._taken = {service.lower(), f"{service}-environment".lower()}

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
        while name.lower() in self._taken:
            name = f"environment-{name}"
        attributes = {
            "service.name": name,
            "vibebox.environment": environment_id,
            "vibebox.project": project,
        }
        return attributes | ({"vibebox.team": team} if team else {})
