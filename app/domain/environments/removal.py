"""The end of an environment: container, volume, record, in this order."""

from app.domain.environments.containers import Containers
from app.domain.environments.settling import Settling
from app.domain.environments.transitions import Passage, Transitions


class Removal:
    """Removes all there is of an environment."""

    def __init__(
        self, transitions: Transitions, containers: Containers, settling: Settling
    ) -> None:
        self._transitions = transitions
        self._containers = containers
        self._settling = settling

    def carry_out(self, passage: Passage) -> None:
        """Remove the environment that is held. Raises: EngineUnreachableError and others."""
        before = passage.environment
        with self._settling.passing(passage):
            if before.container_id is not None:
                passage.seen = self._containers.look(before)
            if self._containers.remove(before):
                self._containers.remove_volume(before)
            self._transitions.remove(passage, passage.exits(None))
