"""The terminal of whoever runs the command: raw for a while, and as it was afterwards."""

import os
import re
import select
import signal
import termios
import tty
from contextlib import suppress
from types import FrameType
from typing import Self

from app.cli.client.interrupts import held_back

_CHUNK = 16 * 1024
_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
# Of the modes that programs set: alternate screens, reports of mouse and focus, bracketed paste,
# and keys in application mode. The cursor is the one that is on by default.
_SCREENS = frozenset((b"47", b"1047", b"1049"))
_OFF = _SCREENS | {b"1", b"9", b"1000", b"1002", b"1003", b"1004", b"1005", b"1006", b"1015"}
_OFF |= {b"2004"}
_CURSOR = b"25"
_LONGEST_SEQUENCE = 64


class RawTerminal:
    """Reads keys and writes what programs print; use it as a context manager.

    At its end, whatever that is, the terminal is as it was: also where a program that is cut off
    has left the other screen, or the cursor hidden.
    """

    def __init__(self, keys: int = 0, screen: int = 1) -> None:
        self._keys = keys
        self._screen = screen
        self._modes: set[bytes] = set()
        self._tail = b""
        self._woken, self._waker = -1, -1
        self.resized = False

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._keys)
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)
        self._handlers = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGWINCH, self._note_size),
                (signal.SIGINT, _leave),
                (signal.SIGTERM, _leave),
                (signal.SIGHUP, _leave),
            )
        }
        # What is typed already counts: without DRAIN it would be dropped.
        tty.setraw(self._keys, termios.TCSADRAIN)
        return self

    def __exit__(self, *_details: object) -> None:
        # The terminal is restored whole. A window that is closed has nothing left to restore.
        with held_back(), suppress(OSError, termios.error):
            termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)
            os.write(self._screen, self._undone())
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for end in (self._woken, self._waker):
            os.close(end)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        found = os.get_terminal_size(self._keys)
        return max(1, found.columns), max(1, found.lines)

    def wake(self) -> None:
        """End a wait for keys, from any thread."""
        try:
            os.write(self._waker, b"x")
        except OSError:
            pass  # it is awake already, or over

    def read(self, *, take: bool = True, seconds: float | None = None) -> bytes | None:
        """Return the keys that were pressed, b"" at the end.

        None after `wake`, a new size, or so many seconds. Without `take` keys wait where they are.
        """
        watched = [self._keys, self._woken] if take else [self._woken]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._woken in ready:
            os.read(self._woken, _CHUNK)
            return None
        if not ready:
            return None
        try:
            return os.read(self._keys, _CHUNK)
        except OSError:  # the terminal's window is closed
            return b""

    def write(self, data: bytes) -> None:
        """Show what a program printed."""
        self._note_modes(data)
        while data:
            data = data[os.write(self._screen, data) :]

    def say(self, text: str) -> None:
        """Show a sentence of ours, on a line of its own."""
        self.write(f"\r\n\x1b[0m[vibebox] {text}\r\n".encode())

    def _note_size(self, _number: int, _frame: FrameType | None) -> None:
        self.resized = True
        self.wake()

    def _note_modes(self, data: bytes) -> None:
        seen = self._tail + data
        end = 0
        for found in _MODE.finditer(seen):
            end = found.end()
            for mode in found[1].split(b";"):
                if mode in _OFF or mode == _CURSOR:
                    changed = (found[2] == b"h") is (mode in _OFF)
                    (self._modes.add if changed else self._modes.discard)(mode)
        self._tail = seen[max(end, len(seen) - _LONGEST_SEQUENCE) :]

    def _undone(self) -> bytes:
        """Return what takes back the modes that are set still."""
        back = [b"\x1b[?%b%b" % (mode, b"h" if mode == _CURSOR else b"l") for mode in self._modes]
        return b"".join([*sorted(back), b"\x1b[0m"])


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
