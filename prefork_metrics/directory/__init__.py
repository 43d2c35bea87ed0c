"""The directory through which the processes share their metrics.

`prepare` it at the start of the service, join it by a `Membership` in each process that counts,
`absorb` the dead when a process has ended, and read a `snapshot` of it. See `layout` for its files,
`archive` for why nothing is lost or counted twice whenever somebody is killed.

Nothing in here imports prometheus_client: gunicorn's master imports this package before
PROMETHEUS_MULTIPROC_DIR is final, and the client library reads that variable when it is imported.
"""

from prefork_metrics.directory.absorption import Absorption, absorb, remove
from prefork_metrics.directory.heartbeat import Heartbeat, State
from prefork_metrics.directory.membership import Membership
from prefork_metrics.directory.ownership import Owner, Ownership, owner_of
from prefork_metrics.directory.reading import Snapshot, snapshot
from prefork_metrics.directory.starting import prepare, prepare_for_server, refuse_second
from prefork_metrics.directory.trouble import Trouble, trouble_with

__all__ = [
    "Absorption",
    "Heartbeat",
    "Membership",
    "Owner",
    "Ownership",
    "Snapshot",
    "State",
    "Trouble",
    "absorb",
    "owner_of",
    "prepare",
    "prepare_for_server",
    "refuse_second",
    "remove",
    "snapshot",
    "trouble_with",
]
