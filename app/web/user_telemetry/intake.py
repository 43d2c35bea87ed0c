"""What becomes of a request of users' telemetry: whose it is, how much of it, and where it goes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from app.core.errors import (
    InvalidTokenError,
    SettingsError,
    TelemetryPostponedError,
    TelemetryRefusedError,
)
from app.core.setting_values import pairs
from app.core.settings import Settings
from app.domain.user_telemetry.build import build_tokens
from app.domain.user_telemetry.sources import Sources
from app.domain.user_telemetry.tokens import TelemetryTokens
from app.storage import Database
from app.tracing.installed import MISSING, is_installed
from app.tracing.rules import Rate
from app.web.user_telemetry.forwarding import Forwarding

AT_ONCE = 2
"""Requests that a worker unpacks and hands on at the same time."""
_MOST_RATES = 1000


class Intake:
    """Takes requests, within bounds for each environment and for all."""

    def __init__(
        self,
        tokens: TelemetryTokens,
        sources: Sources,
        forwarding: Forwarding,
        a_second: float,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """a_second: how many requests of one environment are taken."""
        self._tokens = tokens
        self._sources = sources
        self._forwarding = forwarding
        self._a_second = a_second
        self._now = now
        self._rates: dict[str, Rate] = {}
        self._busy: set[str] = set()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()

    def environment_of(self, token: str) -> str | None:
        """Return the id of the environment that a token is of; see `TelemetryTokens`."""
        return self._tokens.environment_of(token)

    @contextmanager
    def place(self, environment_id: str) -> Iterator[None]:
        """Have the place of an environment: it sends one request after another.

        Raises: TelemetryPostponedError where it is taken, or it has had enough of late.
        """
        with self._lock:
            if len(self._rates) >= _MOST_RATES:
                self._rates.clear()
            rate = self._rates.setdefault(environment_id, Rate(self._a_second, self._now))
            if environment_id in self._busy or not rate.take():
                raise TelemetryPostponedError
            self._busy.add(environment_id)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(environment_id)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have one of the turns, of which there are few: with the body read, which may last.

        Raises: TelemetryPostponedError where there is none.
        """
        if not self._turns.acquire(blocking=False):
            raise TelemetryPostponedError
        try:
            yield
        finally:
            self._turns.release()

    def take(self, signal: str, environment_id: str, body: bytes) -> None:
        """Hand a body on, under the name of its environment.

        Raises: InvalidTokenError where that is gone, TelemetryRefusedError,
        TelemetryPostponedError, StorageUnavailableError.
        """
        from app.web.user_telemetry.rewriting import rewrite

        attributes = self._sources.attributes(environment_id)
        if attributes is None:
            raise InvalidTokenError("The environment of the token was deleted.")
        try:
            rewritten = rewrite(signal, body, attributes)
        except ValueError as error:
            raise TelemetryRefusedError(str(error)) from error
        self._forwarding.send(signal, rewritten)


def build(settings: Settings, database: Database) -> Intake | None:
    """Return what takes users' telemetry; None where that is off. Raises: SettingsError."""
    tokens = build_tokens(settings)
    if tokens is None or settings.user_otlp_endpoint is None:
        return None
    if not is_installed():
        raise SettingsError([f"VIBEBOX_USER_OTLP_ENDPOINT: {MISSING}"])
    headers = pairs(settings.user_otlp_headers.get_secret_value())
    forwarding = Forwarding(settings.user_otlp_endpoint, headers)
    return Intake(
        tokens, Sources(database, settings.service_name), forwarding, settings.user_otlp_rate
    )
