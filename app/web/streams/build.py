"""What is told for as long as somebody listens, in one process."""

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.environments.progress import ProgressRecords
from app.domain.environments.service import Environments
from app.domain.environments.statuses import StatusRecords
from app.domain.heartbeat import Heartbeat
from app.domain.logs.following import FollowedLogs
from app.engine import Engine
from app.storage import Database
from app.web.admission.admission import Admission
from app.web.streams.events import Events
from app.web.streams.logs import LogStream
from app.web.streams.status import StatusStream
from app.web.streams.terminal import Terminals
from app.web.streams.waiting import Waiting
from app.web.websockets.polling_hub import PollingHub


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
    heartbeat: Heartbeat,
    environments: Environments,
    admission: Admission,
    stopping: Callable[[], bool],
) -> Streams:
    """Return the streams; `stopping` tells when what lasts has to end."""
    hub, progress = PollingHub(), ProgressRecords(database)
    return Streams(
        events=Events(progress, admission, stopping),
        status=StatusStream(StatusRecords(database), hub),
        waiting=Waiting(progress, environments, admission, stopping),
        logs=LogStream(FollowedLogs(database), hub),
        terminals=Terminals(database, engine, heartbeat, hub),
    )
