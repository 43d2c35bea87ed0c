"""Sends one batch, and says what became of it, by the rules of OTLP over HTTP.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import gzip
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import monotonic, time

import requests

from app.exporter.target import Target

TRY_AGAIN = frozenset({429, 502, 503, 504})
_MOST_BYTES = 64 * 1024
_PIECE = 4096


@dataclass(frozen=True)
class Answer:
    """What the receiver said: exactly one of three.

    accepted: the body that it answered with. retry: why the batch is sent again, not before
    `after` seconds where the receiver said so; in_doubt: it may have been accepted. refused: why it
    never will be.
    """

    accepted: bytes | None = None
    retry: str = ""
    after: float | None = None
    in_doubt: bool = False
    refused: str = ""


class Sender:
    """One connection to the receiver, used by one thread."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._session = requests.Session()
        # What the environment says of proxies counts, the password file of a user does not.
        self._session.auth = _without_login
        self._session.headers.update(target.headers)
        self._session.headers["Content-Type"] = "application/x-protobuf"
        if target.gzip:
            self._session.headers["Content-Encoding"] = "gzip"

    def send(self, body: bytes) -> Answer:
        """Send a batch, in the time-out of the target; raises nothing."""
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
                return _answer(response, ends_at)
        except requests.RequestException as error:
            # Its text may hold the address with a password.
            sent = not isinstance(error, requests.ConnectTimeout)
            return Answer(retry=type(error).__name__, in_doubt=sent)
        except OSError as error:
            return Answer(retry=str(error), in_doubt=True)

    def close(self) -> None:
        self._session.close()


def _without_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _answer(response: requests.Response, ends_at: float) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        return Answer(accepted=_body(response, ends_at))
    if status in TRY_AGAIN:
        after = _after(response.headers.get("Retry-After"))
        # What stands between us and the receiver says these, and does not know.
        return Answer(retry=f"status {status}", after=after, in_doubt=status in (502, 504))
    return Answer(refused=f"status {status}")


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
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except ValueError:
        return None
