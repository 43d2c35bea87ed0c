"""A terminal that is come back to: over restarts of the service and networks that were away."""

from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from app.cli.client.attachment import Attachment, Typing, ending
from app.cli.client.errors import AwayError, ClientError, ProblemError, RefusedError
from app.cli.client.raw_terminal import RawTerminal
from app.cli.client.sockets import open_socket

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from app.cli.client.api import Api

LARGEST = 1000
"""Columns or rows that the service takes."""

_LONGEST_PAUSE = 5.0
_OPEN_SECONDS = 10.0
# A connection that ends sooner proves nothing; after so many in a row no more are tried.
_LASTING_SECONDS = 3.0
_MOST_FAILURES = 5
_GONE = ("session-not-found", "session-conflict", "environment-not-found", "environment-conflict")


class Reattaching:
    """Uses the terminal of a session to its end.

    tmux keeps its screen while nobody looks, so the connection is made again whenever it is lost. A
    shell ends with its connection, which is said.
    """

    def __init__(
        self, api: "Api", session: dict[str, Any], terminal: RawTerminal, detach: bytes
    ) -> None:
        self._api = api
        self._session = session
        self._terminal = terminal
        self._typing = Typing(detach)
        self._failures = 0

    def run(self) -> tuple[int, str] | None:
        """Return exit code and last words of the session; None where the person left.

        Raises: ClientError for what ends the terminal, and is not waited for.
        """
        with ExitStack() as stack:
            socket = stack.enter_context(self._open())
            stack.enter_context(self._terminal)
            while True:
                began = monotonic()
                if Attachment(socket, self._terminal, self._typing).run():
                    return None
                try:
                    return ending(socket)
                except AwayError as error:
                    self._bear(error, monotonic() - began)
                again = self._again()
                if again is None:
                    return None
                socket = stack.enter_context(again)

    def _open(self, seconds: float | None = None) -> "ClientConnection":
        cols, rows = (min(LARGEST, number) for number in self._terminal.size)
        path = f"/sessions/{quote(self._session['id'], safe='')}/terminal"
        return open_socket(
            self._api, f"{path}?cols={cols}&rows={rows}&acknowledge=true", seconds=seconds
        )

    def _bear(self, error: AwayError, lasted: float) -> None:
        """Go on where that may help. Raises: the error, or what became of a shell."""
        if self._session["type"] != "tmux":
            raise AwayError(
                f"{error.message} The shell ended with its terminal.",
                "`vibebox attach NAME` opens a new one; one of `--type tmux` would have stayed.",
            ) from error
        self._failures = 0 if lasted > _LASTING_SECONDS else self._failures + 1
        if self._failures >= _MOST_FAILURES:
            raise error

    def _again(self) -> "ClientConnection | None":
        """Return a new connection as soon as there is one; None where the person leaves instead."""
        self._terminal.say("The connection is lost; connecting again. The detach key leaves.")
        wait, told = 0.3, False
        while True:
            ends_at = monotonic() + wait
            while (left := ends_at - monotonic()) > 0:
                keys = self._terminal.read(seconds=left)
                before, leaves = (b"", False) if keys is None else self._typing.split(keys)
                if leaves or keys == b"":
                    return None
                if before and not told:
                    told = True
                    self._terminal.say("Not connected: what you type is not sent.")
            try:
                return self._open(_OPEN_SECONDS)
            except ClientError as error:
                self._give_up(error)
            wait = min(wait * 2, _LONGEST_PAUSE)

    @staticmethod
    def _give_up(error: ClientError) -> None:
        """Raise what does not pass by itself."""
        if isinstance(error, ProblemError) and error.slug in _GONE:
            raise RefusedError(
                "The session has ended meanwhile.", "`vibebox attach NAME` starts a new one."
            ) from error
        if not isinstance(error, AwayError) and not (
            isinstance(error, ProblemError) and error.passing
        ):
            raise error
