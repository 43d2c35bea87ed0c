"""How soon the agent notices what it waits for: the seconds between two looks of each loop."""

from dataclasses import dataclass

from app.storage.lease import TTL


@dataclass(frozen=True)
class Pace:
    """Seconds. The defaults are what runs; whoever has to wait for one of them may hurry it.

    `lease`: how long a leader that says nothing still leads, at most `TTL`. `renew` and `contend`:
    how often it is renewed and asked for. `margin`: by how much our clock and the database's may
    run apart within one lease.
    """

    lease: float = TTL.total_seconds()
    renew: float = 2.0
    contend: float = 0.5
    margin: float = 1.0
    abandoned: float = 5.0
    expired: float = 5.0
    counting: float = 0.5
    drift: float = 0.5
    pulls: float = 0.5
    old: float = 300.0
    retention: float = 60.0
    usage_disk: float = 60.0
    usage_retention: float = 600.0
    business: float = 60.0
    shipping: float = 0.5
    sessions: float = 10.0
    on_start: float = 1.0
    extensions: float = 1.0


USUAL = Pace()
