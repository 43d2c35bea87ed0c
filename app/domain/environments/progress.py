"""How far environments are, for whoever follows their events or waits for a start."""

from dataclasses import dataclass
from typing import Any

from app.domain.authorization import Action, Identity, environment_for
from app.domain.environments import pull_records
from app.domain.environments.transitions import OPEN_PULLS, TRANSITIONAL
from app.storage import Database, EnvironmentStatus, ImagePull


@dataclass(frozen=True)
class Progress:
    """An environment at one moment; `pull` is how far the pull is that its start waits for."""

    status: EnvironmentStatus
    error: str | None
    pull: dict[str, Any] | None
    pull_id: str | None

    @property
    def over(self) -> bool:
        """Whether nothing is under way."""
        return self.status not in TRANSITIONAL


class ProgressRecords:
    """Reads progress."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, identity: Identity, environment_id: str, pull_id: str | None = None) -> Progress:
        """Return the progress of an environment, with the pull that its start waits for.

        pull_id: one that was told of already; its last state is told too.
        Raises: EnvironmentNotFoundError, PermissionDeniedError.
        """
        with self._database.reading() as session:
            environment = environment_for(
                session, identity, environment_id, Action.ENVIRONMENT_READ
            )
            pull = None
            if pull_id is not None or environment.status is EnvironmentStatus.STARTING:
                pull = pull_records.latest(session, environment_id)
                if pull is not None and pull.id != pull_id and pull.status not in OPEN_PULLS:
                    pull = None
            return Progress(
                environment.status,
                environment.error,
                _shown(pull) if pull is not None else None,
                pull.id if pull is not None else None,
            )

    def error_of(self, pull_id: str) -> str | None:
        """Return the slug of the error that a pull ended in; None where it has none."""
        with self._database.reading() as session:
            pull = session.get(ImagePull, pull_id)
            return None if pull is None else pull.error


def _shown(pull: ImagePull) -> dict[str, Any]:
    return {
        "image": pull.image,
        "layers": pull.layers,
        "bytes_done": pull.bytes_done,
        "bytes_total": pull.bytes_total,
        "percent": pull.percent,
    }
