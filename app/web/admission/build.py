"""How much a process takes, by the settings."""

import limits

from app.core.settings import Settings
from app.storage import Database
from app.web.admission.admission import Admission, Room
from app.web.admission.rates import Rate


def build(settings: Settings, database: Database) -> Admission:
    """Return what admits what lasts in this process."""
    room = Room.for_threads(settings.threads, settings.websockets, settings.websockets_per_account)
    changes = limits.parse(settings.rate_limit_changes)
    return Admission(database, room, Rate(changes.amount, changes.get_expiry()))
