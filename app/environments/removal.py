"""The end of an environment: container, volume, record, in this order."""

from sqlalchemy import delete

from app.environments.containers import Containers
from app.environments.settling import Settling
from app.environments.transitions import Passage, held
from app.storage import Database, Environment


class Removal:
    """Removes all there is of an environment."""

    def __init__(self, database: Database, containers: Containers, settling: Settling) -> None:
        self._database = database
        self._containers = containers
        self._settling = settling

    def carry_out(self, passage: Passage) -> None:
        """Remove the environment that is held. Raises: EngineUnreachableError and others."""
        with self._settling.passing(passage):
            if self._containers.remove(passage.environment):
                self._containers.remove_volume(passage.environment)
            with self._database.writing() as session:
                session.execute(delete(Environment).where(held(passage)))
