"""A start from a container that exists to one that answers, and what is told of its end.

Requests and the agent start environments through here, so that both do and tell the same.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.core import signals
from app.core.errors import EngineConflictError, EngineError, VibeBoxError
from app.domain.environments.containers import Containers
from app.domain.environments.transition_end import TransitionGuard
from app.domain.environments.transitions import Transition
from app.engine import ContainerState

SUCCESS, USER_ERROR, FAILURE = "success", "user_error", "failure"
_log = logging.getLogger(__name__)


class GivenUpError(Exception):
    """The start was cancelled, taken over, or goes on elsewhere: its end is not told here."""


class Attempt:
    """One start; `outcome` is what became of it. It is not told where that is None."""

    def __init__(self) -> None:
        self.outcome: str | None = SUCCESS


@contextmanager
def told(seconds: Callable[[], float], *, synthetic: bool) -> Iterator[Attempt]:
    """Tell the end of the start in the body; `seconds`: how long ago it was accepted.

    One of a `synthetic` account is not told: how long people wait says none of those.
    """
    attempt = Attempt()
    try:
        yield attempt
    except GivenUpError:
        attempt.outcome = None
        raise
    except VibeBoxError as error:
        attempt.outcome = _outcome(error)
        raise
    except BaseException:
        attempt.outcome = FAILURE
        raise
    finally:
        if attempt.outcome is not None and not synthetic:
            signals.emit(signals.environment_started, outcome=attempt.outcome, seconds=seconds())


def _outcome(error: VibeBoxError) -> str:
    return USER_ERROR if error.is_callers() else FAILURE


class Starts:
    """Launches containers and settles what became of them."""

    def __init__(self, containers: Containers, guard: TransitionGuard) -> None:
        self._containers = containers
        self._guard = guard

    def launch(
        self, transition: Transition, container: str, attempt: Attempt, *, again: bool = False
    ) -> None:
        """Start the container, wait until it answers, and end the transition with the truth.

        `again` stops it first.
        """
        transition.environment.container_id = container
        launch = self._containers.restart if again else self._containers.start
        state = launch(transition.environment, container)
        if state.running:
            state = self._await_answer(container, state, attempt)
        if self._guard.complete(transition, state):
            attempt.outcome = USER_ERROR

    def _await_answer(
        self, container: str, state: ContainerState, attempt: Attempt
    ) -> ContainerState:
        """Return the state after the first exec; one that gets no answer is no success."""
        try:
            self._containers.answers(container)
        except EngineConflictError:
            # It ended, or somebody froze it.
            attempt.outcome = FAILURE
            return self._containers.inspect(container)
        except EngineError as error:
            attempt.outcome = _outcome(error)
            _log.warning("a started container does not answer", extra={"why": error.detail})
            return state
        return self._looked_at_again(container, state)

    def _looked_at_again(self, container: str, state: ContainerState) -> ContainerState:
        """Return the state after an answer: that from before says of a command that has ended
        meanwhile that it runs. Where the engine does not tell, it has answered all the same."""
        try:
            return self._containers.inspect(container)
        except EngineError:
            return state
