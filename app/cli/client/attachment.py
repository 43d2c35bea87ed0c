"""A terminal here, carried to a session of the service and back."""

import json
import re
import threading
from collections.abc import Callable
from time import monotonic

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from app.cli.client.errors import AwayError, ClientError, RefusedError
from app.cli.client.raw_terminal import RawTerminal

NORMAL, GOING_AWAY, ABNORMAL, POLICY_VIOLATION, TRY_LATER = 1000, 1001, 1006, 1008, 1013
SIGNED_OUT = 4401
_EXIT = re.compile(r"exit code (\d+)")
_AGAIN = "Run `vibebox attach` again."
# The service is asked nothing more when the person leaves; it is waited for so long at most.
_PARTING_SECONDS = 2.0

# As much input as the service takes in before the command does; and what is read of the terminal
# beyond that, so that the key that leaves is seen.
WINDOW = 256 * 1024
_MOST_WAITING = 64 * 1024
_PIECE = 16 * 1024


class Typing:
    """Tells the key that leaves from the same byte in a paste.

    A key comes alone or with a few others; a paste comes in large pieces, or between the marks that
    a terminal puts around it where the program asked for them.
    """

    _MORE_THAN_KEYS = 64
    _PIECE_OF_A_PASTE = 1024
    _REST_SECONDS = 0.1
    _BEGIN, _END = b"\x1b[200~", b"\x1b[201~"

    def __init__(self, detach: bytes, clock: Callable[[], float] = monotonic) -> None:
        self._detach = detach
        self._clock = clock
        self._marked = False
        self._bulk_at = float("-inf")

    def split(self, keys: bytes) -> tuple[bytes, bool]:
        """Return what is to be sent of what was read, and whether the person leaves after it."""
        began, ended = keys.rfind(self._BEGIN), keys.rfind(self._END)
        in_paste = self._marked or began >= 0
        if began >= 0 or ended >= 0:
            self._marked = began > ended
        if len(keys) >= self._PIECE_OF_A_PASTE:
            self._bulk_at = self._clock()
        rest = self._clock() - self._bulk_at < self._REST_SECONDS
        if in_paste or rest or len(keys) > self._MORE_THAN_KEYS:
            return keys, False
        before, key, _ = keys.partition(self._detach)
        return before, bool(key)


class Attachment:
    """Carries keys and output until one side ends it."""

    def __init__(self, socket: ClientConnection, terminal: RawTerminal, typing: Typing) -> None:
        self._socket = socket
        self._terminal = terminal
        self._typing = typing
        self._ended = threading.Event()
        self._waiting = bytearray()
        self._ahead = 0  # bytes that are sent and not known to be taken
        self._change = threading.Lock()

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
                else:
                    self._note(json.loads(message))
        except (ConnectionClosed, OSError):
            pass  # it is over, or the window is closed: whoever reads the keys hears of it too
        finally:
            self._ended.set()
            self._terminal.wake()

    def _note(self, message: dict[str, object]) -> None:
        """Remember how much of the input is taken."""
        if message.get("type") == "taken":
            with self._change:
                self._ahead -= int(str(message["bytes"]))
            self._terminal.wake()

    def _type(self) -> bool:
        """Send what is typed; tell whether the person has left."""
        try:
            while not self._ended.is_set():
                # Who does not keep up makes whoever pastes wait, as any terminal does.
                keys = self._terminal.read(take=len(self._waiting) < _MOST_WAITING)
                if self._terminal.resized:
                    self._terminal.resized = False
                    cols, rows = self._terminal.size
                    self._socket.send(json.dumps({"type": "resize", "cols": cols, "rows": rows}))
                before, leaves = (b"", False) if keys is None else self._typing.split(keys)
                self._waiting += before
                self._send()
                if leaves or keys == b"":
                    return True
        except ConnectionClosed:
            pass
        return False

    def _send(self) -> None:
        """Send as much of what waits as may go ahead."""
        while self._waiting:
            piece = bytes(self._waiting[:_PIECE])
            with self._change:
                if self._ahead + len(piece) > WINDOW:
                    return
                self._ahead += len(piece)
            self._socket.send(piece)
            del self._waiting[: len(piece)]


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
    if code == SIGNED_OUT:
        return RefusedError(f"The service ended the terminal: {reason}", "Run `vibebox login`.")
    if code == POLICY_VIOLATION:
        return RefusedError(f"The service ended the terminal: {reason}.", _AGAIN)
    if code == ABNORMAL:
        return AwayError("The connection to the service was lost.", _AGAIN)
    return AwayError(f"The service ended the terminal: {reason or code}.", _AGAIN)
