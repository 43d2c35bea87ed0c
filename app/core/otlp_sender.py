"""Sends one batch, and says what became of it, by the rules of OTLP over HTTP.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import gzip
import threading
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import monotonic, time

import requests
from requests import exceptions
from urllib3.exceptions import NameResolutionError, NewConnectionError

from app.core.ended_requests import Ends
from app.core.otlp_said import shown
from app.core.otlp_target import Target

TRY_AGAIN = frozenset({429, 502, 503, 504})
_MOST_BYTES = 64 * 1024
_SHORTEST_SECRET = 6
_PIECE = 4096
_LOOK_SECONDS = 0.1
_HURRIED_SECONDS = 2.0
"""What a request has left when this process is to end."""
# Of ours, or of the settings: the next time they are the same.
_NEVER = (
    exceptions.InvalidHeader,
    exceptions.InvalidURL,
    exceptions.InvalidSchema,
    exceptions.MissingSchema,
    UnicodeError,
)


@dataclass(frozen=True)
class Answer:
    """What the receiver said: exactly one of three.

    accepted: the body that it answered with. retry: why the batch is sent again, not before
    `after` seconds where the receiver said so; in_doubt: it may have been accepted. refused: why it
    never will be. status: of the answer; 0 where there was none.
    """

    accepted: bytes | None = None
    retry: str = ""
    after: float | None = None
    in_doubt: bool = False
    refused: str = ""
    status: int = 0


class Sender:
    """Sends to one receiver, for one thread."""

    def __init__(self, target: Target, stopping: threading.Event | None = None) -> None:
        """stopping: set when this process is to end: then a request has two seconds left."""
        self._target = target
        self._stopping = stopping or threading.Event()
        self._session = self._new_session()

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        # What the environment says of proxies counts, the password file of a user does not.
        session.auth = _without_login
        self._ends = Ends.of(session)
        session.headers.update(self._target.headers)
        session.headers["Content-Type"] = "application/x-protobuf"
        if self._target.gzip:
            session.headers["Content-Encoding"] = "gzip"
        return session

    def send(self, body: bytes) -> Answer:
        """Send a batch, in the time-out of the target; raises nothing.

        In a thread, which is ended where a receiver drips its answer: no time-out of a socket
        bounds the whole of it.
        """
        answers: list[Answer] = []
        thread = threading.Thread(
            target=lambda: answers.append(self._exchange(body)), name="sender", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return Answer(retry="there is no thread left")
        ends_at = monotonic() + self._target.timeout + _LOOK_SECONDS
        while thread.is_alive() and monotonic() < ends_at:
            thread.join(_LOOK_SECONDS)
            if self._stopping.is_set():
                ends_at = min(ends_at, monotonic() + _HURRIED_SECONDS)
                thread.join(max(0.0, ends_at - monotonic()))
                break
        if answers:
            return answers[0]
        self._ends.end()
        self._session = self._new_session()
        return Answer(retry="no answer in time", in_doubt=True)

    def _exchange(self, body: bytes) -> Answer:
        ends_at = monotonic() + self._target.timeout
        try:
            with self._session.post(
                self._target.url,
                data=gzip.compress(body, 1) if self._target.gzip else body,
                timeout=self._target.timeout,
                verify=self._target.certificate or True,
                cert=self._target.own,
                allow_redirects=False,
                stream=True,
            ) as response:
                return self._answer(response, ends_at)
        except _NEVER as error:
            return Answer(refused=type(error).__name__)
        except requests.RequestException as error:
            # Its text may hold the address with a key.
            return Answer(retry=type(error).__name__, in_doubt=_may_have_arrived(error))
        except OSError as error:
            return Answer(retry=str(error), in_doubt=True)
        except Exception as error:  # whatever a receiver made of its answer
            return Answer(retry=type(error).__name__, in_doubt=True)

    def _answer(self, response: requests.Response, ends_at: float) -> Answer:
        status = response.status_code
        if 200 <= status < 300:
            return Answer(accepted=self._masked(_body(response, ends_at)))
        if status in TRY_AGAIN:
            after = _after(response.headers.get("Retry-After"))
            # What stands between us and the receiver says these, and does not know.
            in_doubt = status in (502, 504)
            return Answer(retry=f"status {status}", after=after, in_doubt=in_doubt, status=status)
        said = self._shown(_body(response, ends_at))
        why = f"status {status}: {said}" if said else f"status {status}"
        return Answer(refused=why, status=status)

    def _shown(self, body: bytes) -> str:
        """Return what a person can read of an answer, without what we sent as credentials."""
        return shown(self._masked(body).decode("ascii", "replace"))

    def _masked(self, body: bytes) -> bytes:
        """Return an answer without what we sent as credentials, and as long: it may be protobuf."""
        for value in self._target.headers.values():
            for word in (value, *value.split()):
                if len(word) >= _SHORTEST_SECRET:
                    body = body.replace(word.encode(), b"*" * len(word.encode()))
        return body

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


def _without_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _may_have_arrived(error: requests.RequestException) -> bool:
    """Tell whether the request may have been read: not where there was no connection at all."""
    if isinstance(error, exceptions.ConnectTimeout | exceptions.SSLError | exceptions.ProxyError):
        return False
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(reason, NewConnectionError | NameResolutionError)


def _body(response: requests.Response, ends_at: float) -> bytes:
    """Return the beginning of an answer: whoever accepts, and then says much, has accepted."""
    body = b""
    try:
        for piece in response.iter_content(_PIECE):
            body += piece
            if len(body) > _MOST_BYTES or monotonic() > ends_at:
                return b""
    except (requests.RequestException, OSError):
        return b""
    return body


def _after(text: str | None) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110, 10.2.3); None where it says nothing."""
    if text is None:
        return None
    try:
        if text.strip().isdecimal():
            return float(text)
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, OverflowError):
        return None
