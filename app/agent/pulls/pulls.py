"""Pulls images for starts that wait for them, and then goes on with the start.

The leading agent drives this. A pull belongs to the process that holds its environment; when that
process dies, the next one to look takes it up again. What a process that was thought dead still
writes changes nothing: `started_at` of the pull and the moment of the transition say whose it is.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from app.agent.pulls.reports import PullReport
from app.agent.pulls.turns import AT_ONCE, SPARE, Running, Turns
from app.core.errors import (
    EngineTimeoutError,
    Limit,
    LimitError,
    PullCutError,
    RegistryTooSlowError,
    ServerBusyError,
    VibeBoxError,
)
from app.core.isolation import Loop, failed, reason
from app.core.places import Places
from app.core.trace_context import asked_by, task
from app.domain.environments import starts
from app.domain.environments.containers import Containers
from app.domain.environments.pull_records import TakenPull
from app.domain.environments.starts import GivenUpError
from app.domain.environments.transition_end import TransitionGuard
from app.domain.environments.transitions import OPEN_PULLS, Transition, held
from app.domain.heartbeat import Heartbeat, alive
from app.domain.quotas.checks import NOBODY
from app.engine import PullProgress
from app.storage import (
    Database,
    Environment,
    EnvironmentStatus,
    ImagePull,
    Project,
    PullStatus,
    Team,
    db_now,
    now,
)

_PARTING_SECONDS = 5.0
# Pulls that are looked at for one that may begin: more than one account can have waiting.
_MOST_WAITING = 1000
_log = logging.getLogger(__name__)


class _LostError(Exception):
    """Somebody was quicker."""


class _WaitingPull(NamedTuple):
    """A pull that nobody carries out so far, and the account that it counts for."""

    id: str
    environment_id: str
    account: str


class Pulls:
    """Takes pulls that wait, a few at once, each in a thread of its own.

    Whose turn it is, and which has to give way, is decided in `app.agent.pulls.turns`.
    """

    def __init__(
        self,
        database: Database,
        heartbeat: Heartbeat,
        containers: Containers,
        guard: TransitionGuard,
    ) -> None:
        self._database = database
        self._heartbeat = heartbeat
        self._containers = containers
        self._guard = guard
        self._starts = starts.Starts(containers, guard)
        # What is refused waits for its turn, so that nobody sees these errors.
        self._places = Places(AT_ONCE, Limit.REQUESTS, ServerBusyError, spare=SPARE)
        self._turns = Turns()
        self._running: dict[str, tuple[TakenPull, Running]] = {}
        # Pulls that gave their place to others once; they do not a second time, they end.
        self._gave_place: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()

    def run_pending(self) -> None:
        """Begin what waits and can be begun, and end what nobody waits for any more.

        Returns at once. Call it twice a second. Raises: StorageUnavailableError.
        """
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if self._closing.is_set():
            return
        self._running = {id: one for id, one in self._running.items() if not one[1].is_over}
        waiting, ours = self._look()
        for pull_id, (_, running) in self._running.items():
            if pull_id not in ours:
                running.end(GivenUpError())
        waiting.sort(key=lambda one: self._turns.last_put_back(one.account))
        for one in waiting:
            self._begin(one)
        left = {one.account for one in waiting if one.id not in self._running}
        self._gave_place &= {*self._running, *(one.id for one in waiting)}
        self._make_way([one for one in self._running.values() if not one[1].is_over], left)

    def close(self) -> None:
        """Take nothing any more and let go of what goes on; the next agent takes it up again."""
        self._closing.set()
        for _, running in self._running.values():
            running.end(GivenUpError())
        ends_at = time.monotonic() + _PARTING_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends_at - time.monotonic()))

    def _make_way(self, going_on: list[tuple[TakenPull, Running]], left: set[str]) -> None:
        """End the pull that keeps others from theirs, or put it back, if there is one."""
        pulls = [running for _, running in going_on]
        silent = self._turns.gives_place(pulls, left)
        ends = silent or self._turns.gives_way(pulls, left)
        for taken, running in going_on:
            if running is not ends:
                continue
            if running is silent and taken.id not in self._gave_place:
                self._put_back(taken, running, left)
                return
            _log.warning("pull ended for others", extra={"image": taken.image})
            running.end(RegistryTooSlowError(taken.image))

    def _put_back(self, taken: TakenPull, running: Running, waiting: set[str]) -> None:
        """Have a pull wait for its turn again, behind the other accounts."""
        with self._database.writing() as session:
            # What its thread still writes changes nothing: the transition began at another moment.
            left = session.scalar(
                update(Environment)
                .where(held(taken.transition))
                .values(held_by=None, status_changed_at=db_now())
                .returning(Environment.id)
            )
            if left is not None:
                session.execute(
                    update(ImagePull).where(taken.ours()).values(status=PullStatus.PENDING)
                )
        _log.info("pull waits for its turn again", extra={"image": taken.image})
        self._gave_place.add(taken.id)
        self._turns.put_back(running.account, waiting)
        running.end(GivenUpError())

    def _look(self) -> tuple[list[_WaitingPull], set[str]]:
        """Return what waits, the oldest first, and which of the running ones are ours still."""
        mine = [taken.ours() for taken, _ in self._running.values()]
        account = func.coalesce(
            ImagePull.requested_by,
            Project.owner_user_id,
            func.nullif(Team.created_by, NOBODY),
            Project.owner_team_id,
        )
        query = (
            select(ImagePull.id, ImagePull.environment_id, account)
            .join(Environment, ImagePull.environment_id == Environment.id)
            .join(Project, Environment.project_id == Project.id)
            .outerjoin(Team, Project.owner_team_id == Team.id)
            .where(ImagePull.status.in_(OPEN_PULLS), _held_by_nobody())
            .order_by(ImagePull.requested_at)
            .limit(_MOST_WAITING)
        )
        with self._database.reading() as session:
            waiting = [_WaitingPull(*row) for row in session.execute(query)]
            ours = session.scalars(select(ImagePull.id).where(or_(*mine))) if mine else ()
            return waiting, set(ours)

    def _begin(self, waiting: _WaitingPull) -> None:
        """Carry out a pull, if its account has a place left."""
        try:
            place = self._places.take(waiting.account)
        except LimitError:
            return
        taken = self._take(waiting.id, waiting.environment_id)
        if taken is None:
            place.close()
            return
        running = Running(waiting.account, place)
        self._running[taken.id] = taken, running
        thread = threading.Thread(
            target=self._carry_out, args=(taken, running), name="pull", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _take(self, pull_id: str, environment_id: str) -> TakenPull | None:
        """Make the pull and its transition this process's; None where somebody was quicker."""
        try:
            with self._database.writing() as session:
                moment = now(session)
                # The environment first, as whoever cancels does.
                environment = session.scalars(
                    update(Environment)
                    .where(Environment.id == environment_id, _held_by_nobody())
                    .values(held_by=self._heartbeat.ensure(session), status_changed_at=moment)
                    .returning(Environment)
                ).one_or_none()
                pull = session.scalars(
                    update(ImagePull)
                    .where(ImagePull.id == pull_id, ImagePull.status.in_(OPEN_PULLS))
                    .values(status=PullStatus.PULLING, started_at=moment)
                    .returning(ImagePull)
                ).one_or_none()
                if environment is None or pull is None:
                    raise _LostError
                session.flush()
                session.expunge_all()
        except _LostError:
            return None
        transition = Transition(environment, EnvironmentStatus.STARTING, moment, pull_id)
        waited = (moment - pull.requested_at).total_seconds()
        asked = asked_by(pull.traceparent)
        return TakenPull(pull_id, pull.image, time.monotonic() - waited, transition, asked)

    def _carry_out(self, taken: TakenPull, running: Running) -> None:
        try:
            synthetic = taken.transition.environment.is_synthetic
            told = starts.told(taken.seconds, synthetic=synthetic)
            with task("pull", taken.asked_by), told as attempt:
                before = self._fetch(taken, running)
                running.leave()  # from here on it is a start like any other
                self._start(taken, before, attempt)
        except GivenUpError:
            _log.info("pull given up", extra={"environment": taken.transition.environment.id})
        except VibeBoxError as error:
            _tell(taken, error)
        except Exception:
            failed(Loop.PULLS)
            _log.exception("pulled start failed")
        finally:
            running.leave()

    def _fetch(self, taken: TakenPull, running: Running) -> str | None:
        """Pull the image; return the id of the one that the host held before.

        A failure ends the transition. Raises: GivenUpError, and what the pull raises.
        """
        report = PullReport(self._database, taken, self._closing)
        try:
            with self._noted(taken, PullStatus.FAILED):
                before = self._containers.image(taken.image)
                self._pull(taken.image, report, running)
        except GivenUpError:
            raise
        except Exception as error:
            known = error if isinstance(error, VibeBoxError) else VibeBoxError()
            self._guard.fail(taken.transition, known.detail)
            raise
        report.finish()
        return before

    def _pull(self, image: str, report: PullReport, running: Running) -> None:
        def progress(step: PullProgress) -> None:
            running.note(step)
            report(step)

        try:
            self._containers.pull(image, progress, running.cut)
        except PullCutError as error:
            raise running.reason or GivenUpError() from error
        except EngineTimeoutError as error:
            raise EngineTimeoutError(
                f"The image {image!r} did not arrive in time; start the environment again to go "
                "on with it."
            ) from error

    def _start(self, taken: TakenPull, before: str | None, attempt: starts.Attempt) -> None:
        """Go on as a request does whose image was there."""
        transition = taken.transition
        environment = transition.environment
        with self._guard.during(transition), self._noted(taken, PullStatus.DONE):
            transition.seen = self._containers.look(environment)
            if transition.seen is not None and self._containers.image(taken.image) != before:
                self._containers.remove(environment)
                environment.container_id = None
            seen = self._containers.look(environment)
            self._starts.launch(transition, self._containers.ensure(environment, seen), attempt)

    @contextmanager
    def _noted(self, taken: TakenPull, status: PullStatus) -> Iterator[None]:
        """Record which problem it was before the transition ends, whose end others wait for."""
        try:
            yield
        except GivenUpError:
            raise
        except Exception as error:
            slug = error.slug if isinstance(error, VibeBoxError) else VibeBoxError.slug
            with self._database.writing() as session:
                session.execute(
                    update(ImagePull)
                    .where(
                        ImagePull.id == taken.id,
                        ImagePull.status.in_((PullStatus.PULLING, PullStatus.DONE)),
                        ImagePull.started_at == taken.transition.since,
                    )
                    .values(status=status, error=slug, finished_at=db_now())
                )
            raise


def _tell(taken: TakenPull, error: VibeBoxError) -> None:
    """Log why a start failed: nobody is answered, and the record has a sentence only."""
    ours = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    _log.log(
        logging.WARNING if ours else logging.INFO,
        "pulled start failed",
        extra={
            "environment": taken.transition.environment.id,
            "image": taken.image,
            "problem": error.slug,
            "why": reason(error),
        },
    )


def _held_by_nobody() -> ColumnElement[bool]:
    """Return the condition that an environment starts and no living process holds it."""
    return and_(
        Environment.status == EnvironmentStatus.STARTING,
        or_(Environment.held_by.is_(None), Environment.held_by.not_in(alive())),
    )
