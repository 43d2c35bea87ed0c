"""Sends batch after batch, and waits as the receiver wants it; nobody waits for it."""

import logging
import random
from collections.abc import Callable
from time import monotonic

from app.agent.log_shipping.outbox import MOST_LINES, Batch, Outbox
from app.core.log_receiver import Outcome, Receiver, Reply

_ROUND_SECONDS = 20.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_MOST_ASKED = 300.0
"""Seconds of a Retry-After that are believed."""
_SETTLE_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Shipper:
    """A task of the leader; run it every second or so."""

    def __init__(
        self, outbox: Outbox, receiver: Receiver, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self._outbox = outbox
        self._receiver = receiver
        self._is_over = is_over
        self._most = MOST_LINES
        self._pause = _FIRST_PAUSE
        self._not_before = self._next_settling = 0.0
        self._trouble = ""

    def run(self) -> None:
        """Send what there is, or as much as the receiver takes now.

        Raises: StorageError, LeadershipLostError; what comes next goes on from there.
        """
        ends_at = monotonic() + _ROUND_SECONDS
        while not self._is_over() and self._not_before <= monotonic() < ends_at:
            batch = self._outbox.take(self._most)
            if batch is None:
                self._settle()
                return
            self._send(batch)

    def close(self, _seconds: float) -> list[str]:
        """End the connection; see `Task`."""
        self._receiver.close()
        return []

    def _send(self, batch: Batch) -> None:
        if not batch.lines:  # stored by an earlier release, or deleted meanwhile
            self._outbox.through(batch, "accepted")
            return
        reply = self._receiver.send(batch.lines)
        match reply.outcome:
            case Outcome.TAKEN:
                self._taken(batch, reply)
            case Outcome.TOO_LARGE if len(batch.lines) > 1:
                self._most = max(1, len(batch.lines) // 2)
                self._outbox.withdraw(batch)
            case Outcome.TOO_LARGE | Outcome.UNWANTED:
                self._give_up(batch, reply)
            case Outcome.RETRY | Outcome.CLOSED:
                self._try_again(batch, reply)

    def _taken(self, batch: Batch, reply: Reply) -> None:
        self._outbox.through(batch, "accepted", reply.rejected)
        self._pause = _FIRST_PAUSE
        self._most = min(2 * self._most, MOST_LINES)
        if reply.rejected:
            more = {"why": reply.why, "lines": reply.rejected}
            _log.warning("container log lines rejected", extra=more)
        if self._trouble:
            _log.info("container log lines taken again")
            self._trouble = ""

    def _give_up(self, batch: Batch, reply: Reply) -> None:
        """Go on behind lines that are never taken, but not fast: maybe nothing is."""
        more = {"why": reply.why, "lines": len(batch.lines)}
        _log.error("container log lines refused", extra=more)
        self._outbox.through(batch, "refused")
        self._wait(None)

    def _try_again(self, batch: Batch, reply: Reply) -> None:
        if reply.why != self._trouble:
            self._trouble = reply.why
            _log.warning("container log lines not taken", extra={"why": reply.why})
        if not reply.in_doubt:
            self._outbox.withdraw(batch)
        self._wait(reply.after)

    def _wait(self, asked: float | None) -> None:
        wait = self._pause if asked is None else min(_MOST_ASKED, asked)
        # Not all installations at once, when their receiver comes back.
        self._not_before = monotonic() + wait * random.uniform(1, 1.2)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _settle(self) -> None:
        if monotonic() < self._next_settling:
            return
        self._next_settling = monotonic() + _SETTLE_SECONDS
        if lost := self._outbox.settle():
            _log.warning("container log lines lost", extra={"lines": lost})
