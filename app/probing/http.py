"""The public API as the synthetic user asks it: a connection for each request, as strangers come.

Nothing here waits for longer than the step that asks: `shut` ends what is under way, from another
thread.
"""

import http.client
import json
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from app._version import __version__
from app.probing import connecting
from app.probing.failure import DOCTOR, StepError, Target

MOST_BYTES = 1024 * 1024
_MOST_WORDS = 500
_GATEWAY = (502, 503, 504)
HEADERS = {
    "User-Agent": f"vibebox-probe/{__version__}",
    # Counts its failures apart from those of people where the service cannot tell whose they are.
    "X-VibeBox-Synthetic": "true",
}


class RefusedError(StepError):
    """The service has answered with a problem; `slug` and `status` say which."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.slug = str(problem.get("type", "")).rpartition(":")[2]
        detail = _words(problem.get("detail"))
        title = _words(problem.get("title")) or f"Status {status}"
        asked = _words(problem.get("request_id"))
        super().__init__(
            f"The service refuses: {title}{f': {detail}' if detail else ''} (status {status}).",
            f"{DOCTOR[:-1]} (request {asked})." if asked and status >= 500 else DOCTOR,
        )


class Service:
    """Asks the service at the public address, as who has signed in."""

    def __init__(self, target: Target, seconds: float) -> None:
        """seconds: of the longest silence; a step bounds all of it."""
        self.target = target
        self.token: str | None = None
        self._seconds = seconds
        self._parts = urlsplit(target.url)
        self._secure = self._parts.scheme == "https"
        self._socket: socket.socket | None = None
        self._shut = False

    def shut(self) -> None:
        """End the request that is under way, and any that comes; from any thread."""
        self._shut = True
        if (sock := self._socket) is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def reopened(self) -> "Service":
        """Return another one that goes on with the same login."""
        made = Service(self.target, self._seconds)
        made.token = self.token
        return made

    @property
    def headers(self) -> dict[str, str]:
        """What each request says."""
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {**HEADERS, **bearer}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of the answer; None where it has none. Raises: StepError."""
        if self._shut:
            raise StepError("It was ended.")
        try:
            status, kind, answer = self._exchange(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            raise connecting.translated(error, self.target.url) from error
        if 200 <= status < 300:
            return self._parsed(answer) if answer else None
        if kind.startswith("application/problem+json"):
            raise RefusedError(status, self._parsed(answer))
        raise self._stranger(status)

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, str, bytes]:
        connection = self._connection()
        try:
            connection.connect()
            # Kept: a response takes it away from the connection.
            self._socket = connection.sock
            text = None if body is None else json.dumps(body).encode()
            typed = {} if body is None else {"Content-Type": "application/json"}
            target = f"{self._parts.path.rstrip('/')}/api/v1{path}"
            connection.request(method, target, text, {**self.headers, **typed})
            response = connection.getresponse()
            answer = response.read(MOST_BYTES + 1)
            return response.status, response.headers.get("Content-Type", ""), answer
        finally:
            self._socket = None
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._secure:
            context = connecting.context(self.target.certificate)
            return http.client.HTTPSConnection(host, port, timeout=self._seconds, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._seconds)

    def _parsed(self, answer: bytes) -> Any:
        try:
            return json.loads(answer)
        except ValueError:
            raise self._stranger(200) from None

    def _stranger(self, status: int) -> StepError:
        if status in _GATEWAY:
            return StepError(
                f"The proxy at {self._parts.netloc} answers {status}: nobody answers it.",
                "See whether the web server runs, and the address that the proxy has of it.",
            )
        return StepError(
            f"Who answers at {self._parts.netloc}, with status {status}, is not VibeBox.",
            "Correct VIBEBOX_PROBE_URL, or where the proxy sends /api/v1.",
        )


def _words(value: Any) -> str:
    """Return what an answer says as it can be kept and shown: whoever has made it up."""
    text = str(value or "")[:_MOST_WORDS]
    return "".join(one if one.isprintable() else "?" for one in text).rstrip(".")
