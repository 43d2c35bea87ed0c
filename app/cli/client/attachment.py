"""A terminal here, carried to a session of the service and back."""

import json
import re
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from app.cli.client.errors import AwayError, ClientError, RefusedError
from app.cli.client.raw_terminal import RawTerminal

NORMAL, GOING_AWAY, ABNORMAL, POLICY_VIOLATION, TRY_LATER = 1000, 1001, 1006, 1008, 1013
_EXIT = re.compile(r"exit code (\d+)")
_AGAIN = "Run `vibebox attach` again."
# The service is asked nothing more when the person leaves; it is waited for so long at most.
_PARTING_SECONDS = 2.0


class Attachment:
    """Carries keys and output until one side ends it."""

    def __init__(self, socket: ClientConnection, terminal: RawTerminal, detach: bytes) -> None:
        self._socket = socket
        self._terminal = terminal
        self._detach = detach
        self._ended = threading.Event()

    def run(self) -> bool:
        """Carry on, until it ends; tell whether the person left. The terminal has to be raw."""
        reader = threading.Thread(target=self._show, name="output", daemon=True)
        reader.start()
        try:
            left = self._type()
        finally:
            self._socket.close_timeout = _PARTING_SECONDS
            self._socket.close()
            # The last output is shown before the terminal is given back.
            reader.join(_PARTING_SECONDS)
        return left

    def _show(self) -> None:
        """Show what comes; in a thread of its own, since both sides may be silent."""
        try:
            for message in self._socket:
                if isinstance(message, bytes):
                    self._terminal.write(message)
        except (ConnectionClosed, OSError):
            pass  # it is over, or the window is closed: whoever reads the keys hears of it too
        finally:
            self._ended.set()
            self._terminal.wake()

    def _type(self) -> bool:
        """Send what is typed; tell whether the person has left."""
        try:
            while not self._ended.is_set():
                keys = self._terminal.read()
                if self._terminal.resized:
                    self._terminal.resized = False
                    cols, rows = self._terminal.size
                    self._socket.send(json.dumps({"type": "resize", "cols": cols, "rows": rows}))
                if keys is None:
                    continue
                before, key, _ = keys.partition(self._detach)
                if before:
                    self._socket.send(before)
                if key or not keys:
                    return True
        except ConnectionClosed:
            pass
        return False


def ending(socket: ClientConnection) -> tuple[int, str]:
    """Return the exit code of a session that has ended, and what there is to say about it.

    Raises: AwayError, RefusedError where it did not end of its own accord.
    """
    code, reason = socket.close_code or ABNORMAL, socket.close_reason or ""
    if code == NORMAL:
        found = _EXIT.fullmatch(reason)
        return (int(found[1]), "") if found else (0, reason)
    raise _failure(code, reason)


def _failure(code: int, reason: str) -> ClientError:
    if code == GOING_AWAY:
        return AwayError("The service is going away, or restarts.", _AGAIN)
    if code == TRY_LATER:
        return AwayError(f"The service ended the terminal: {reason}", _AGAIN)
    if code == POLICY_VIOLATION:
        return RefusedError(f"The service ended the terminal: {reason}.", _AGAIN)
    if code == ABNORMAL:
        return AwayError("The connection to the service was lost.", _AGAIN)
    return AwayError(f"The service ended the terminal: {reason or code}.", _AGAIN)
