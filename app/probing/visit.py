"""The way of the synthetic user, a step after the other; see `app.storage.ProbeStep`.

Everything that the account has is of a round: what one that was cut off left behind is deleted by
the next, and expires in any case.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from app.core.unreadable import UNREADABLE
from app.domain.probe.account import Credentials
from app.domain.probe.rounds import Outcome
from app.probing.failure import CutOffError, StepError, Target
from app.probing.http import RefusedError, Service
from app.probing.steps import FailedError, Steps
from app.probing.terminal import Terminal
from app.storage import ProbeStep

_LIFE = timedelta(hours=1)
_POLL = 0.25
_WAIT = 10.0
_LIVES = 1.0
_MEMORY_MB = 64
_PAGE = 100
_IMAGE_ENDS = (
    "See why the container ends: the image (VIBEBOX_PROBE_IMAGE) has to run until it is stopped."
)
_REFUSED = {
    "invalid-credentials": "Somebody has set the account's password meanwhile; the next round "
    "makes another.",
    "not-found": "Correct the path of VIBEBOX_PROBE_URL, or where the proxy sends /api/v1.",
    "misdirected-request": "Name the host of VIBEBOX_PROBE_URL in VIBEBOX_ALLOWED_HOSTS.",
    "quota-exceeded": "Raise the quota of the synthetic account, or of the host.",
    "image-pull-failed": "See whether the host of Docker Engine reaches the registry and finds its "
    "name; or load the image there; it is VIBEBOX_PROBE_IMAGE.",
    "image-missing": "Load the image on the host of Docker Engine, or name another one in "
    "VIBEBOX_PROBE_IMAGE.",
    "engine-unreachable": "Start Docker Engine, or see whether it hangs: `vibebox doctor` tells.",
    "engine-disk-full": "Make room on the disk of Docker Engine; `docker system df` shows what "
    "takes it.",
    "executable-missing": "Name an image in VIBEBOX_PROBE_IMAGE whose command can be run, and that "
    "has a shell (sh).",
    "environment-conflict": _IMAGE_ENDS,
    "engine-conflict": _IMAGE_ENDS,
}


class _InTransitionError(StepError):
    """An environment cannot be deleted now: it starts, or stops."""


class Visit:
    """One way through the service."""

    def __init__(self, target: Target, credentials: Credentials, steps: Steps) -> None:
        self._target = target
        self._credentials = credentials
        self._steps = steps
        self._service = Service(target, steps.each)
        self._terminal: Terminal | None = None
        self._environment = ""

    def run(self) -> Outcome:
        """Do all steps; whatever becomes of them, leave nothing behind. Raises: CutOffError."""
        try:
            for step, work in self._plan():
                self._steps.do(step, partial(self._understood, work), self._shut)
        except FailedError as failed:
            self._tidy()
            return Outcome(self._steps.seconds, failed.step, failed.says, failed.next_step)
        except CutOffError:
            self._tidy()
            raise
        return Outcome(self._steps.seconds)

    def _plan(self) -> tuple[tuple[ProbeStep, Callable[[], None]], ...]:
        return (
            (ProbeStep.SIGN_IN, self._sign_in),
            (ProbeStep.SWEEP, self._sweep),
            (ProbeStep.CREATE, self._create),
            (ProbeStep.START, self._start),
            (ProbeStep.COMMAND, self._command),
            (ProbeStep.STOP, self._stop),
            (ProbeStep.DELETE, self._delete),
            (ProbeStep.SIGN_OUT, self._sign_out),
        )

    def _understood(self, work: Callable[[], None]) -> None:
        """Do a step whose answers may be anybody's."""
        try:
            work()
        except UNREADABLE as error:
            raise StepError(
                "An answer is in JSON, and not as VibeBox answers.",
                "See what the proxy sends /api/v1 to, and whether it is of this release.",
            ) from error

    def _shut(self) -> None:
        self._service.shut()
        if self._terminal is not None:
            self._terminal.shut()

    def _tidy(self) -> None:
        """Delete what there may be, as far as that is possible in the time of a step."""
        self._service = self._service.reopened()
        if self._service.token is None:
            return
        tidying = Steps(self._steps.each, self._steps.each, lambda: False)
        for step, work in ((ProbeStep.SWEEP, self._sweep), (ProbeStep.SIGN_OUT, self._sign_out)):
            with suppress(FailedError):
                tidying.do(step, partial(self._understood, work), self._shut)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            return self._service.ask(method, path, body)
        except RefusedError as error:
            error.next_step = _REFUSED.get(error.slug, error.next_step)
            raise

    def _sign_in(self) -> None:
        who = {"email": self._credentials.email, "password": self._credentials.password}
        self._service.token = self._ask("POST", "/auth/login", who)["access_token"]

    def _sweep(self) -> None:
        found = self._ask("GET", f"/environments?limit={_PAGE}")["items"]
        for environment in found:
            # One that is starting or stopping is left to the agent, and to the next round.
            with suppress(_InTransitionError):
                self._remove(environment["id"])

    def _create(self) -> None:
        made = self._ask(
            "POST",
            "/environments",
            {
                "name": f"probe-{secrets.token_hex(4)}",
                "image": self._target.image,
                "memory_limit_mb": _MEMORY_MB,
                "volume_path": None,
                "expires_at": (datetime.now(UTC) + _LIFE).isoformat(timespec="seconds"),
            },
        )
        self._environment = made["id"]

    def _start(self) -> None:
        path = f"/environments/{self._environment}"
        # For some time with its problem as the answer; then as the console waits.
        wait = min(_WAIT, self._steps.each / 2)
        now = self._ask("POST", f"{path}/start?wait={wait:g}", {})
        runs_since: float | None = None
        # One whose command ends at once runs for a moment.
        while now["status"] in ("starting", "running"):
            if now["status"] == "running":
                runs_since = runs_since or time.monotonic()
                if time.monotonic() - runs_since >= _LIVES:
                    return
            time.sleep(_POLL)
            now = self._ask("GET", path)
        if error := now.get("error"):
            raise StepError(f"The environment does not start: {error}", _next_of(error))
        raise StepError(
            f"The environment is {now['status']} right after its start (its run ended: "
            f"{now.get('exit_reason')}, exit code {now.get('exit_code')}).",
            _IMAGE_ENDS,
        )

    def _command(self) -> None:
        path = f"/environments/{self._environment}/sessions"
        session = self._ask("POST", path, {"type": "shell"})
        self._terminal = Terminal(self._service, self._steps.each)
        try:
            self._terminal.run(session["id"])
        finally:
            self._terminal = None

    def _stop(self) -> None:
        stopped = self._ask("POST", f"/environments/{self._environment}/stop")
        if stopped["status"] != "stopped":
            raise StepError(f"The environment is {stopped['status']} after its stop.")

    def _delete(self) -> None:
        self._remove(self._environment)

    def _remove(self, environment: str) -> None:
        try:
            self._ask("DELETE", f"/environments/{environment}")
        except RefusedError as error:
            if error.slug == "environment-conflict":
                raise _InTransitionError(error.says, error.next_step) from error
            if error.slug != "environment-not-found":
                raise

    def _sign_out(self) -> None:
        self._ask("POST", "/auth/logout")
        self._service.token = None


def _next_of(error: str) -> str:
    """Return what to do about a start that has ended without its caller."""
    pulled = "registry" in error or "pull" in error
    return _REFUSED["image-pull-failed"] if pulled else _IMAGE_ENDS
