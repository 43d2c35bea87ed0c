"""Explanations from stores and, where there is one, the database."""

from app.domain.alerts.heartbeat import Heartbeat
from app.domain.alerts.known import Known, of_kept
from app.domain.alerts.service import Alerts
from app.explaining.recorded import Recorded
from app.explaining.service import Explanations
from app.storage import Database
from app.stores.build import Stores


def build(stores: Stores, database: Database | None) -> Explanations:
    """Return what explains alerts; without a database it knows those of Prometheus alone."""
    if database is None:
        return Explanations(stores, None, lambda _reference: None)
    # Reading needs no time after which an alert is believed no longer: it stands in each row.
    alerts = Alerts(database, expire=0, heartbeat=Heartbeat(database, limit=0))

    def told(reference: str) -> Known | None:
        found = alerts.find(reference)
        return None if found is None else of_kept(found)

    return Explanations(stores, Recorded(database), told)
