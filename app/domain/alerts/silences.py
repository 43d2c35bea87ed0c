"""Silences: operators have Alertmanager tell nobody of an alert for a while, and end that again.

They are Alertmanager's own, whoever made them; what is kept here is who did it by this service, in
the audit log. A silenced alert is told no longer, so that it expires (see `service`).
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from app.core.errors import (
    AlertNotFoundError,
    SilenceNotFoundError,
    StoreNotSetError,
    StoreUnavailableError,
)
from app.domain.alerts.service import Alerts
from app.domain.audit.recording import Target, record
from app.domain.authorization import Action, Identity, may_in
from app.storage import Database, now
from app.stores.alertmanager import SETTING, AlertmanagerStore, Matcher, Silence

LONGEST = timedelta(days=30)
_NAME = "alertname"
_NAME_LENGTH = 254
_log = logging.getLogger(__name__)


class Silences:
    """The silences of the Alertmanager of the settings.

    All raise PermissionDeniedError, StoreNotSetError and StoreUnavailableError.
    """

    def __init__(
        self, database: Database, alerts: Alerts, alertmanager: AlertmanagerStore | None
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._alertmanager = alertmanager

    def list(self, identity: Identity) -> Sequence[Silence]:
        """Return those that are not over, what ends first before others."""
        may_in(identity, Action.SILENCE_READ)
        return self._store().silences()

    def create(
        self, identity: Identity, reference: str, duration: timedelta, comment: str
    ) -> Silence:
        """Silence alerts from now on: by a fingerprint those with all labels of that one (others
        may have more), by a name all of this name.

        Raises: AlertNotFoundError, StorageUnavailableError.
        """
        may_in(identity, Action.SILENCE_CHANGE)
        store = self._store()
        found = self._alerts.find(reference)
        if found is None:
            raise AlertNotFoundError
        labels = found.labels if reference == found.fingerprint else {_NAME: reference}
        matchers = [Matcher(name, str(labels[name])) for name in sorted(labels)]
        with self._database.reading() as session:
            began = now(session)
        ends = began + duration
        name = str(found.labels.get(_NAME, ""))
        with self._doubted(identity, "silence.create", None, name, ends_at=ends.isoformat()):
            id = store.silence(matchers, began, ends, identity.email, comment)
        self._record(identity, "silence.create", id, name, ends_at=ends.isoformat())
        return Silence(id, tuple(matchers), began, ends, identity.email, comment, "active")

    def end(self, identity: Identity, id: str) -> None:
        """End a silence. Raises: SilenceNotFoundError, StorageUnavailableError."""
        may_in(identity, Action.SILENCE_CHANGE)
        store = self._store()
        found = store.find(id)
        if found is None or found.state == "expired":
            raise SilenceNotFoundError
        named = next((one.value for one in found.matchers if one.name == _NAME), "")
        with self._doubted(identity, "silence.end", id, named):
            if not store.end(id):
                raise SilenceNotFoundError
        self._record(identity, "silence.end", id, named)

    def _store(self) -> AlertmanagerStore:
        if self._alertmanager is None:
            raise StoreNotSetError(SETTING, "address of Alertmanager")
        return self._alertmanager

    @contextmanager
    def _doubted(
        self, identity: Identity, action: str, id: str | None, name: str, **details: object
    ) -> Iterator[None]:
        """Note also what was asked for and may have been done, where no answer came."""
        try:
            yield
        except StoreUnavailableError as error:
            if error.in_doubt:
                self._record(identity, action, id, name, **details, outcome="unknown")
            raise

    def _record(
        self, identity: Identity, action: str, id: str | None, name: str, **details: object
    ) -> None:
        """Note what Alertmanager has done: it is no part of a transaction of ours."""
        with self._database.writing() as session:
            target = Target("silence", id, name[:_NAME_LENGTH])
            record(session, identity, action, target, **details)
        _log.info("silence changed", extra={"action": action, "silence": id, "alert": name})
