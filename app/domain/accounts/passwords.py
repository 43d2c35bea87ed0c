"""Password hashes (argon2id, RFC 9106), a few at once.

Each takes tens of megabytes and a core for tens of milliseconds, on purpose: as many at once as
there are request threads would take all memory and all cores, from everybody.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.core.errors import ServerBusyError, TooManyAttemptsError

_LONGEST_WAIT_SECONDS = 10.0
_RETRY_AFTER_SECONDS = 1


class Turns:
    """So many threads at once work, so many others wait for that, and no more.

    A client's address that is here already gets another turn while it has fewer than are left, so
    that alone it has about half of them. What it causes is its own refusal: the server is busy only
    to who comes from elsewhere.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._working = threading.BoundedSemaphore(at_once)
        self._room = at_once + waiting
        self._here: Counter[str | None] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, address: str | None = None) -> Iterator[None]:
        """Wait for a turn, and have it for the block; None is no client, and has no share.

        Raises: TooManyAttemptsError to an address that has its share, else ServerBusyError.
        """
        self._enter(address)
        try:
            if not self._working.acquire(timeout=_LONGEST_WAIT_SECONDS):
                raise self._refusal(address, self._here[address] - 1)
            try:
                yield
            finally:
                self._working.release()
        finally:
            self._leave(address)

    def _enter(self, address: str | None) -> None:
        with self._lock:
            mine, left = self._here[address], self._room - self._here.total()
            if left <= 0 or (address is not None and mine and mine >= left):
                raise self._refusal(address, mine)
            self._here[address] += 1

    def _leave(self, address: str | None) -> None:
        with self._lock:
            self._here[address] -= 1
            if not self._here[address]:
                del self._here[address]

    @staticmethod
    def _refusal(address: str | None, others: int) -> ServerBusyError | TooManyAttemptsError:
        """Return whose doing it is: of an address with `others` here, its own."""
        if address is not None and others > 0:
            return TooManyAttemptsError(_RETRY_AFTER_SECONDS)
        return _busy()


def turns(cores: float, workers: int, threads: int) -> Turns:
    """Return those of one of `workers` processes, which share `cores` and have `threads` each.

    At most half of the threads wait for their turn, so that sign-ins hold up nothing else.
    """
    return Turns(max(1, int(cores / workers)), threads // 2)


class Passwords:
    """Hashes and verifies passwords; the costs are settings, memory in KiB.

    Its methods raise ServerBusyError where too many hash already, TooManyAttemptsError where those
    are of the same client; without `turns` as many as like. `address` returns the client's, None
    where there is none.
    """

    def __init__(
        self,
        *,
        time_cost: int,
        memory_kib: int,
        turns: Turns | None = None,
        address: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._turns = turns
        self._address = address
        self._nobody: str | None = None

    def hash(self, password: str) -> str:
        """Return a salted hash of the password."""
        with self._turn():
            return self._hasher.hash(password)

    def verify(self, hashed: str | None, password: str) -> bool:
        """Tell whether the password fits the hash.

        None stands for an account that does not exist: the same work is done, so that the time of
        the answer does not tell which addresses have an account.
        """
        with self._turn():
            if self._nobody is None:
                self._nobody = self._hasher.hash("no account has this password")
            try:
                self._hasher.verify(self._nobody if hashed is None else hashed, password)
            except (VerificationError, InvalidHashError):
                return False
        return hashed is not None

    def outdated(self, hashed: str) -> bool:
        """Tell whether the hash was made at other costs than today's."""
        return self._hasher.check_needs_rehash(hashed)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._turns is None:
            yield
            return
        with self._turns.turn(self._address()):
            yield


def _busy() -> ServerBusyError:
    return ServerBusyError("Too many passwords are checked at once; try again in a second.")
