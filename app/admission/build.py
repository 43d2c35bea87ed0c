"""How much a process takes, by the settings."""

import limits

from app.admission.admission import Admission, Room
from app.admission.rates import Rate
from app.settings import Settings
from app.storage import Database


def build(settings: Settings, database: Database) -> Admission:
    """Return what admits what lasts in this process."""
    room = Room.for_threads(settings.threads, settings.websockets, settings.websockets_per_account)
    changes = limits.parse(settings.rate_limit_changes)
    return Admission(database, room, Rate(changes.amount, changes.get_expiry()))
