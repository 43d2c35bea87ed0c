"""What many ask a store at once: it is asked once, and nobody waits longer than agreed."""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from app.core import deadline
from app.core.errors import StoreUnavailableError
from app.core.single_flight import DeadlineExceededError, Run, SingleFlight

SECONDS = 2.0
T = TypeVar("T")


class SharedQuestion(Generic[T]):
    """Asks by `ask`, in one thread, what answers at the address of `setting`.

    seconds: how long one asker waits at most.
    """

    def __init__(self, setting: str, ask: Callable[[], T], seconds: float = SECONDS) -> None:
        self._setting = setting
        self._ask = ask
        self._seconds = seconds
        self._flight = SingleFlight("stores", self._within)

    def answer(self) -> T:
        """Return the answer of the question under way, or of a new one.

        Raises: StoreUnavailableError, and what `ask` raises.
        """
        return self.begin()()

    def begin(self) -> Callable[[], T]:
        """Begin the question, or join the one under way, and return what waits for its answer.

        Who has several questions begins all of them first, and waits as long as for one.
        Raises: nothing; what is returned raises as `answer` does.
        """
        try:
            run = self._flight.begin()
        except RuntimeError:
            why = "cannot be asked now: there is no thread left"
            run = Run.failed(StoreUnavailableError(self._setting, why))
        return partial(self._result, run)

    def _result(self, run: Run[T]) -> T:
        try:
            return run.result(self._seconds)
        except DeadlineExceededError:
            raise StoreUnavailableError(self._setting, "did not answer in time") from None

    def close(self) -> None:
        """Let the thread end."""
        self._flight.close()

    def _within(self) -> T:
        # A store leaves half of what is left to the next question; nobody waits for more of it.
        with deadline.within(2 * self._seconds):
            return self._ask()
