"""One request to a store, bounded in time and size whatever the store does.

A time-out of a socket bounds each piece of an answer and not the whole of it, and none bounds the
look-up of a name. So each question has a thread of its own; where its time is over, its connection
is shut, which ends the thread.
"""

import http.client
import json
import re
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, overload
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

from app.core import deadline
from app.core.errors import StoreAnswerTooLargeError, StoreUnavailableError

MOST_BYTES = 8 * 1024 * 1024
_SECONDS = 5.0
_PIECE = 64 * 1024
_ELSEWHERE = frozenset({301, 302, 303, 307, 308, 404, 405, 421})
"""Somebody answers who is not the store, or not by this path; no redirect is followed."""
_AWAY = "does not answer; start it, or correct that address"
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


class Store:
    """What answers at the address of `setting`, which may hold a password and is never shown."""

    def __init__(
        self, setting: str, url: str, token: str | None = None, most: int = MOST_BYTES
    ) -> None:
        """most: bytes of an answer; token: sent as a bearer token, in place of a login of `url`."""
        self.setting = setting
        self._url = urlsplit(url)
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if authorization := _authorization(self._url, token):
            self._headers["Authorization"] = authorization
        self._most = most

    @overload
    def get(self, path: str, parameters: Mapping[str, str]) -> bytes: ...

    @overload
    def get(self, path: str, parameters: Mapping[str, str], has_missing: bool) -> bytes | None: ...

    def get(
        self, path: str, parameters: Mapping[str, str], has_missing: bool = False
    ) -> bytes | None:
        """Return what it answers, with status 200.

        Raises: StoreUnavailableError; StoreAnswerTooLargeError where that is all there is to it.

        has_missing: None for 404, which else is an error as others.
        """
        question = self._asked("GET", path, parameters, None)
        if has_missing and question.status == 404:
            return None
        return self._answered(question)

    @overload
    def change(self, method: str, path: str, body: Any) -> bytes: ...

    @overload
    def change(self, method: str, path: str, *, has_missing: bool) -> bytes | None: ...

    def change(
        self, method: str, path: str, body: Any = None, *, has_missing: bool = False
    ) -> bytes | None:
        """Return what it answers to a change, with status 200.

        body: sent as JSON, where there is one; has_missing: as in `get`.
        Raises: StoreUnavailableError.
        """
        text = None if body is None else json.dumps(body).encode()
        question = self._asked(method, path, {}, text)
        if has_missing and question.status == 404:
            return None
        return self._answered(question)

    def _answered(self, question: "_Question") -> bytes:
        if question.is_too_large:
            raise StoreAnswerTooLargeError(self.setting, "answers with more than is read of it")
        if question.trouble is not None:
            raise self.failed(question.trouble, in_doubt=question.in_doubt)
        return question.answer

    def _asked(
        self, method: str, path: str, parameters: Mapping[str, Any], body: bytes | None
    ) -> "_Question":
        """Return the question once it is answered, or can't be. Raises: StoreUnavailableError."""
        target = self._target(path, parameters)
        question = _Question(self._url, method, target, self._headers, body, self._most)
        thread = threading.Thread(target=question.ask, name="store", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise self.failed("cannot be asked now: there is no thread left") from None
        # Half of what is left: a store that hangs leaves time to ask the others.
        thread.join(min(_SECONDS, deadline.remaining() / 2))
        if thread.is_alive():
            question.give_up()
            raise self.failed("did not answer in time", in_doubt=question.is_sent)
        return question

    def json(self, path: str, parameters: Mapping[str, str], missing: Any = None) -> Any:
        """Return its answer as JSON; `missing`, if there is one, where it says 404.

        Raises: StoreUnavailableError.
        """
        body = self.get(path, parameters, has_missing=missing is not None)
        if body is None:
            return missing
        try:
            return loads(body)
        except (ValueError, RecursionError):
            raise self.strange() from None

    def strange(self) -> StoreUnavailableError:
        """Return the error of an answer that cannot be understood."""
        return self.failed("does not speak as one of its kind does; look at the address")

    def failed(self, why: str, *, in_doubt: bool = False) -> StoreUnavailableError:
        """Return an error that says so of the store."""
        return StoreUnavailableError(self.setting, why, in_doubt=in_doubt)

    def _target(self, path: str, parameters: Mapping[str, Any]) -> str:
        base = self._url.path.rstrip("/")
        return f"{base}{path}?{urlencode(parameters)}" if parameters else f"{base}{path}"


class _Question:
    """One request; afterwards `answer`, or `trouble` in words."""

    def __init__(
        self,
        url: SplitResult,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        most: int,
    ) -> None:
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(url.hostname or "", url.port, timeout=_SECONDS)
        self._method, self._target, self._headers = method, target, dict(headers)
        self._body, self._most = body, most
        if body is not None:
            self._headers["Content-Type"] = "application/json"
        self._given_up = False
        self._socket: socket.socket | None = None
        self.answer = b""
        self.status = 0
        self.is_sent = False
        self.is_too_large = False
        self.trouble: str | None = "was not asked"

    @property
    def in_doubt(self) -> bool:
        """Whether it may have been carried out though it failed; gateways say 502 and 504."""
        return self.is_sent and self.status in (0, 200, 502, 504)

    def ask(self) -> None:
        """Ask; raises nothing."""
        try:
            self._connection.connect()
            # Kept: a response takes it away from the connection.
            self._socket = self._connection.sock
            self.is_sent = True
            self._connection.request(self._method, self._target, self._body, self._headers)
            if self._given_up:
                return
            self.trouble = self._read(self._connection.getresponse())
        except ssl.SSLCertVerificationError as error:
            self.trouble = (
                f"has no certificate that can be trusted ({error.verify_message}); renew it, or "
                "let this host trust who issued it (SSL_CERT_FILE)"
            )
        except ssl.SSLError:
            self.trouble = "does not speak TLS as https:// needs; look at the address"
        except TimeoutError:
            self.trouble = "did not answer in time"
        except Exception:  # of the network, or of what the store made of HTTP
            self.trouble = _AWAY
        finally:
            self._connection.close()

    def _read(self, response: http.client.HTTPResponse) -> str | None:
        self.status = response.status
        if response.status in (401, 403):
            return f"refuses us (status {response.status}); look at its token"
        if response.status != 200:
            step = "; look at the address" if response.status in _ELSEWHERE else ""
            return f"answers with status {response.status}{step}"
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > self._most:
                self.is_too_large = True
                return None
        if response.length:  # as many bytes of it did not come
            return _AWAY
        self.answer = b"".join(pieces)
        return None

    def give_up(self) -> None:
        """Have the thread end: what it waits for comes to its end at once."""
        self._given_up = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def loads(body: bytes) -> Any:
    """Return JSON whose texts are Unicode: halves of a pair, which no answer of ours can hold, are
    replaced. Raises: ValueError, RecursionError."""
    found = json.loads(body)
    if _HALF.search(body) is None:
        return found
    text = json.dumps(found, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _authorization(url: SplitResult, token: str | None) -> str:
    if token:
        return f"Bearer {token}"
    if url.username is None:
        return ""
    login = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return f"Basic {b64encode(login.encode()).decode()}"
