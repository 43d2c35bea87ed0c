"""Rate limits of authentication, by account and by address.

Strangers must not lock an owner out: what fails at one address counts against an account there
only, and the limit over all addresses is not for those that it has signed in from.

Every attempt by password counts, and every failed one of another kind; what proves to be a good
token is never refused, so that one broken script does not lock out everybody behind its address.
flask-limiter counts, in the storage of the settings, and in this process's memory while that one
does not answer. It is called where something is counted, and has no hook in other requests.
"""

import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

import limits
from flask import Flask, g, has_request_context, request
from flask_limiter import Limiter, RateLimitExceeded
from limits.errors import ConfigurationError

from app.core import signals
from app.core.errors import InvalidTokenError, SettingsError, StorageError, TooManyAttemptsError
from app.core.settings import Settings

# A login waits so long for a storage that hangs, twice at most, before memory takes over.
_STORAGE_SECONDS = 0.5
_IN_MEMORY = "memory://"
# A provider gives a customer so many addresses: to count each for itself would count nothing.
_IPV6_PREFIX = 64
# From all addresses that an account has not signed in from, so many times as from one.
_STRANGERS = 10
_log = logging.getLogger(__name__)


class _WithReason(logging.Filter):
    """Adds to what flask-limiter says of a storage that fails why it does; it says that only."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, RateLimitExceeded):
            record.why = f"{type(error).__name__}: {error}"
        return True


# Not added: a reload runs this again, and the logger stays.
logging.getLogger("flask-limiter").filters = [_WithReason()]


class Attempts:
    """Counts attempts of the requests that `app` serves.

    `knows` tells whether the account of an e-mail address has signed in from an address.
    Raises: SettingsError where the storage needs a library that is not installed.
    """

    def __init__(
        self, app: Flask, settings: Settings, knows: Callable[[str, str | None], bool]
    ) -> None:
        self._knows = knows
        storage = settings.rate_limit_storage
        self._limiter = Limiter(
            _address,
            storage_uri=storage,
            storage_options=_storage_options(storage),
            strategy="fixed-window",
            in_memory_fallback_enabled=storage != _IN_MEMORY,
            key_prefix="vibebox",
        )
        # As if its hooks were there already. Calling them costs a request a third more, and the one
        # before a request looks, in the middle of a probe, whether a dead storage is back.
        app.extensions["limiter"] = {self._limiter}
        try:
            self._limiter.init_app(app)
        except ConfigurationError as error:
            raise SettingsError([f"VIBEBOX_RATE_LIMIT_STORAGE: {error}"]) from error
        by_account = self._limiter.shared_limit(
            settings.rate_limit_account, scope="account", key_func=_account_here
        )
        by_strangers = self._limiter.shared_limit(
            _times(_STRANGERS, settings.rate_limit_account),
            scope="strangers",
            key_func=_account,
            exempt_when=self._is_known,
        )
        by_address = self._limiter.shared_limit(settings.rate_limit_address, scope="address")
        # The innermost first: what is refused there counts nowhere else.
        self._count_login: Callable[[], None] = by_address(by_strangers(by_account(_login)))
        self._count_failure: Callable[[], None] = by_address(_failure)
        by_registration = self._limiter.shared_limit(
            settings.registration_rate, scope="registration"
        )
        self._count_registration: Callable[[], None] = by_registration(_registration)

    def login(self, email: str) -> None:
        """Count a login, before its password is looked at.

        Raises: TooManyAttemptsError; the attempt that it refuses is told as a failed one.
        """
        g.account = email.lower()
        try:
            self._count(self._count_login)
        except TooManyAttemptsError:
            signals.emit(signals.authentication, method="password", success=False)
            raise

    def registration(self) -> None:
        """Count a registration without an invitation, before its password is hashed.

        Raises: TooManyAttemptsError.
        """
        try:
            self._count(self._count_registration)
        except TooManyAttemptsError:
            signals.emit(signals.registration, way="open", outcome="limited")
            raise

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Count the authentication in the body if it fails.

        Raises: TooManyAttemptsError instead of InvalidTokenError, past the limit.
        """
        try:
            yield
        except InvalidTokenError:
            self._count(self._count_failure)
            raise

    def _is_known(self) -> bool:
        # Asked for by the limiter, which would take an error for one of its own storage.
        try:
            return self._knows(g.account, request.remote_addr)
        except StorageError:
            return False

    def _count(self, counted: Callable[[], None]) -> None:
        try:
            counted()
        except RateLimitExceeded as error:
            raise TooManyAttemptsError(self._retry_after(error)) from error

    def _retry_after(self, error: RateLimitExceeded) -> int:
        """Return the whole seconds until the limit lets another attempt pass."""
        limit = self._limiter.current_limit
        try:
            seconds = limit.reset_at - time.time() if limit else 0
        except Exception:  # the storage may go away at any moment, with errors of its own
            _log.info("end of a rate limit not known")
            seconds = 0
        longest = error.limit.limit.get_expiry()
        return max(1, min(int(seconds) + 1, longest)) if seconds else longest


def _login() -> None:
    """Stand for a login: flask-limiter counts calls of functions."""


def _registration() -> None:
    """Stand for a registration without an invitation."""


def _failure() -> None:
    """Stand for a failed authentication of another kind."""


def _account() -> str:
    """Return the account as a key: what is stored and logged of it names nobody."""
    return hashlib.sha256(str(g.account).encode()).hexdigest()[:32]


def _account_here() -> str:
    return f"{_account()}@{_address()}"


def _times(number: int, rate: str) -> str:
    one = limits.parse(rate)
    return f"{number * one.amount} per {one.multiples} {one.GRANULARITY.name}"


def _address() -> str:
    """Return the address that a limit is for; of IPv6 the network of one customer."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"  # a Unix socket, or what a proxy made up
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None or address.version == 4:
        return str(mapped or address)
    return str(ip_network((int(address), _IPV6_PREFIX), strict=False))


def client_address() -> str | None:
    """Return the address that shares are counted by, as limits are; None outside of requests."""
    return _address() if has_request_context() else None


def _storage_options(storage: str) -> dict[str, Any]:
    """Return the deadlines of a storage that is reached by network."""
    if storage == _IN_MEMORY:
        return {}
    options: dict[str, Any] = {
        "socket_connect_timeout": _STORAGE_SECONDS,
        "socket_timeout": _STORAGE_SECONDS,
    }
    try:
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        return options  # told by `init_app`
    # Once more, at once: a connection from before a restart of the server is worth no fallback.
    options["retry"] = Retry(NoBackoff(), 1)
    return options
