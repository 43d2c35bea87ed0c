"""Silences: operators have Alertmanager tell nobody of an alert for a while, and end that again.

They are Alertmanager's own, whoever made them; what is kept here is who did it by this service, in
the audit log. A silenced alert is told no longer, so that it expires (see `service`): until then,
and where Prometheus says what fires, it is shown with its silence.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

from app.core.errors import (
    SilenceExistsError,
    SilenceNotFoundError,
    StoreNotSetError,
    StoreUnavailableError,
)
from app.domain.alerts.known import NAME
from app.domain.alerts.sources import AlertSources
from app.domain.audit.recording import Target, record
from app.domain.authorization import Action, Identity, may_in
from app.storage import Database, now
from app.stores.alertmanager import SETTING, AlertmanagerStore, Matcher, Silence
from app.stores.shared import SharedQuestion

LONGEST = timedelta(days=30)
_WHAT = "address of Alertmanager"
_NAME_LENGTH = 254
_log = logging.getLogger(__name__)


class Silences:
    """The silences of the Alertmanager of the settings.

    All raise PermissionDeniedError, StoreNotSetError and StoreUnavailableError.
    """

    def __init__(
        self, database: Database, sources: AlertSources, alertmanager: AlertmanagerStore | None
    ) -> None:
        self._database = database
        self._sources = sources
        self._alertmanager = alertmanager
        self._question = (
            None if alertmanager is None else SharedQuestion(SETTING, alertmanager.silences)
        )

    def current(self) -> Sequence[Silence]:
        """Return those that are not over, for whoever shows alerts; who asks waits for a moment."""
        return self.begin()()

    def begin(self) -> Callable[[], Sequence[Silence]]:
        """Ask for the same, and return what waits for the answer."""
        if self._question is None:
            raise StoreNotSetError(SETTING, _WHAT)
        return self._question.begin()

    def close(self) -> None:
        """Let the thread end."""
        if self._question is not None:
            self._question.close()

    def list(self, identity: Identity) -> Sequence[Silence]:
        """Return those that are not over, what ends first before others."""
        may_in(identity, Action.SILENCE_READ)
        return self._store().silences()

    def create(
        self, identity: Identity, reference: str, duration: timedelta, comment: str
    ) -> Silence:
        """Silence alerts from now on: by a fingerprint those with all labels of that one (others
        may have more), by a name all of this name about us, whether or not one fires.

        Raises: AlertNotFoundError, SilenceExistsError, StorageUnavailableError.
        """
        may_in(identity, Action.SILENCE_CHANGE)
        store = self._store()
        found = self._sources.find(reference)
        labels = found.shared_labels(reference)
        matchers = [Matcher(name, str(labels[name])) for name in sorted(labels)]
        for one in store.silences():
            if one.state == "active" and set(one.matchers) == set(matchers):
                raise SilenceExistsError(one.id, one.ends_at, one.created_by)
        with self._database.reading() as session:
            began = now(session)
        ends = began + duration
        name = found.name
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
        named = next((one.value for one in found.matchers if one.name == NAME), "")
        with self._doubted(identity, "silence.end", id, named):
            if not store.end(id):
                raise SilenceNotFoundError
        self._record(identity, "silence.end", id, named)

    def _store(self) -> AlertmanagerStore:
        if self._alertmanager is None:
            raise StoreNotSetError(SETTING, _WHAT)
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


def muting(silences: Sequence[Silence], labels: Mapping[str, str]) -> Silence | None:
    """Return the silence because of which nobody is told of an alert: the last one to end."""
    found = [one for one in silences if one.mutes(labels)]
    return max(found, key=lambda one: one.ends_at, default=None)
