"""Hands signals on to the users' receiver, within a deadline: however slow that is, and whoever
sends, it costs no more threads than it may."""

import logging
import threading
from collections.abc import Mapping

import requests

from app.core.ended_requests import Ends
from app.core.errors import TelemetryPostponedError, TelemetryRefusedError

SECONDS = 3.0
"""For one request to the receiver."""
_MOST_THREADS = 8
"""Those included that a name keeps which is looked up for long."""
_TRY_AGAIN = frozenset({429, 502, 503, 504})
_log = logging.getLogger(__name__)


class Forwarding:
    """Sends to the receiver at `endpoint`; any thread may."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], seconds: float = SECONDS) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        self._seconds = seconds
        self._is_troubled = False
        self._threads = threading.BoundedSemaphore(_MOST_THREADS)

    def send(self, signal: str, body: bytes) -> None:
        """Return once the receiver has taken the body.

        Raises: TelemetryPostponedError where it may later, TelemetryRefusedError where it never
        will.
        """
        status = self._status(signal, body)
        if status is None or status in _TRY_AGAIN:
            self._tell(f"status {status}" if status else "no answer in time")
            raise TelemetryPostponedError
        self._tell("")
        if not 200 <= status < 300:
            raise TelemetryRefusedError(f"The receiver refuses it, with status {status}.")

    def _tell(self, trouble: str) -> None:
        """Log a trouble when it begins, and its end."""
        if trouble and not self._is_troubled:
            _log.warning("telemetry of users not taken", extra={"why": trouble})
        elif self._is_troubled and not trouble:
            _log.info("telemetry of users taken again")
        self._is_troubled = bool(trouble)

    def _status(self, signal: str, body: bytes) -> int | None:
        """Return what the receiver answers; None where it does not in time.

        In a thread, which is ended where the answer drips: no time-out of a socket bounds the whole
        of it.
        """
        if not self._threads.acquire(blocking=False):
            return None
        found: list[int] = []
        session = requests.Session()
        ends = Ends.of(session)
        thread = threading.Thread(
            target=lambda: found.extend(self._ask(session, signal, body)),
            name="forwarding",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:
            self._threads.release()
            return None
        thread.join(self._seconds)
        if found:
            return found[0]
        ends.end()  # what it finds now is half an answer
        return None

    def _ask(self, session: requests.Session, signal: str, body: bytes) -> list[int]:
        try:
            return [self._post(session, signal, body)]
        except Exception:  # of the network, or of what the receiver made of HTTP
            return []
        finally:
            self._threads.release()

    def _post(self, session: requests.Session, signal: str, body: bytes) -> int:
        with session:
            session.trust_env = False  # no proxy of the environment, no credentials of a file
            with session.post(
                f"{self._endpoint}/v1/{signal}",
                data=body,
                headers=self._headers,
                timeout=self._seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                return response.status_code
