"""What is told for as long as somebody listens, in one process."""

from collections.abc import Callable
from dataclasses import dataclass

from app.admission.admission import Admission
from app.engine import Engine
from app.environments.events import Events
from app.environments.service import Environments
from app.environments.status_stream import StatusStream
from app.environments.waiting import Waiting
from app.logs.stream import LogStream
from app.processes import Presence
from app.sessions.terminal import Terminals
from app.storage import Database
from app.websockets.lookout import Lookout


@dataclass(frozen=True)
class Streams:
    """What lasts as long as its listener, by what it tells."""

    events: Events
    status: StatusStream
    waiting: Waiting
    logs: LogStream
    terminals: Terminals


def build(
    database: Database,
    engine: Engine,
    presence: Presence,
    environments: Environments,
    admission: Admission,
    stopping: Callable[[], bool],
) -> Streams:
    """Return the streams; `stopping` tells when what lasts has to end."""
    lookout = Lookout()
    return Streams(
        events=Events(database, admission, stopping),
        status=StatusStream(database, lookout),
        waiting=Waiting(database, environments, admission, stopping),
        logs=LogStream(database, lookout),
        terminals=Terminals(database, engine, presence, lookout),
    )
