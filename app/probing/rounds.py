"""A whole round: the account is made ready, the way is gone, and how it ended is written down."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from app.core.errors import (
    InvalidCredentialsError,
    ProbeAccountError,
    ProbeUnderWayError,
    StorageError,
    VibeBoxError,
)
from app.core.settings import Settings
from app.domain.accounts.administration import Administration
from app.domain.accounts.passwords import Passwords
from app.domain.probe import account
from app.domain.probe.rounds import Outcome, ProbeRounds
from app.domain.quotas.build import build_checks
from app.probing.failure import DOCTOR, CutOffError, Target
from app.probing.steps import Steps
from app.probing.visit import Visit
from app.storage import Database, ProbeStep

_MARGIN = 30.0
"""Seconds beyond the deadline of the steps, for what tidies up after them."""


class Prober:
    """Makes rounds with the settings of the service."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        target: Target,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`stopping` says that whoever makes the round has to end."""
        self._passwords = Passwords(
            time_cost=settings.argon2_time_cost, memory_kib=settings.argon2_memory_kib
        )
        room = build_checks(settings).check_account
        self._administration = Administration(database, self._passwords, room)
        self._rounds = ProbeRounds(database)
        self._database = database
        self._settings = settings
        self._target = target
        self._stopping = stopping

    def run(self, place: str, *, trial: bool = False) -> Outcome:
        """Make a round, and return how it ended: also where that cannot be written down.

        A `trial` says nothing of the service: nobody counts it, or finds it afterwards.

        Raises: ProbeUnderWayError, CutOffError.
        """
        each, total = self._settings.probe_step_timeout, self._settings.probe_timeout
        started = monotonic()
        try:
            round_id = self._rounds.begin(place, total + each + _MARGIN)
        except ProbeUnderWayError:
            raise
        except StorageError as error:
            return _unprepared(error, monotonic() - started)
        try:
            outcome = self._made(each, total, started)
        except BaseException:
            with suppress(StorageError):
                self._rounds.drop(round_id)
            raise
        with suppress(StorageError):  # the next one knows that this one has no end
            if trial:
                self._rounds.drop(round_id)
            else:
                self._rounds.finish(round_id, outcome)
        return outcome

    def _made(self, each: float, total: float, started: float) -> Outcome:
        try:
            credentials = account.ready(
                self._database, self._administration, self._settings.probe_account
            )
        except VibeBoxError as error:
            return _unprepared(error, monotonic() - started)
        prepared = monotonic() - started
        visit = Visit(self._target, credentials, Steps(each, total, self._stopping))
        outcome = visit.run()
        if outcome.step == ProbeStep.SIGN_IN and visit.refusal == InvalidCredentialsError.slug:
            outcome = self._explained(outcome, credentials)
        seconds = {ProbeStep.PREPARE.value: prepared, **outcome.seconds}
        return Outcome(seconds, outcome.step, outcome.says, outcome.next_step)

    def _explained(self, outcome: Outcome, credentials: account.Credentials) -> Outcome:
        """Say why the password is refused that was set a moment ago, where it still is the one."""
        with suppress(StorageError):
            if account.is_current(self._database, self._passwords, credentials):
                return replace(
                    outcome,
                    says=f"The service at {self._target.url} has another database than this round: "
                    f"it does not know the password that was set in {self._database.describe()}.",
                    next_step="Have rounds made with the settings of the service (DATABASE_URL), "
                    "in its working directory, or correct the address that they go by.",
                )
        return outcome


def target(settings: Settings, url: str | None = None) -> Target | None:
    """Return what the synthetic user goes by; None where no address is set."""
    address = url or settings.probe_url
    if address is None:
        return None
    return Target(address.rstrip("/"), settings.probe_image, settings.probe_certificate)


def _unprepared(error: VibeBoxError, seconds: float) -> Outcome:
    told = error.reason if isinstance(error, StorageError) else error.detail
    step = error.next_step if isinstance(error, ProbeAccountError) else DOCTOR
    return Outcome({ProbeStep.PREPARE.value: seconds}, ProbeStep.PREPARE, told, step)


__all__ = ["CutOffError", "Prober", "target"]
