"""What text of others may do to a terminal: show itself and, in logs, have colours. Nothing else.

Names, errors, lines of logs and what commands printed come from containers and from other people.
As they are they could set the title of the window, write to the clipboard (OSC 52), clear or
overwrite what stands on the screen, turn letters around, or have the terminal answer as if somebody
had typed. So each command makes such text harmless where it prints it, and `Guarded` stands behind
all of them: a stream to a terminal that lets nothing through but text, colours, and what a bar of
progress needs. `vibebox attach` shows a terminal and writes past it.
"""

import re
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import TextIO

# ECMA-48: control sequences (CSI), strings (OSC, DCS and the like) to their end, and whatever else
# begins with ESC. A string without an end loses its beginning only: its text is shown.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[PX^_\]]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_PROGRESS = re.compile(r"\x1b\[(?:K|2K|\?25[lh])")
_RESET = "\x1b[0m"
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
# They turn the order of letters around, or end a line (Unicode, UAX 9; Trojan Source).
_TURNING = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_SUSPICIOUS = re.compile(f"[{_CONTROL}{_TURNING}]")
# Bars of progress return to the beginning of their line.
_STRAY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_ESCAPED_IN_JSON = re.compile(f"[\x7f-\x9f{_TURNING}]")


def line(text: str, *, colours: bool = False) -> str:
    """Return a line of somebody else's so that it shows itself and does nothing.

    Sequences are left out, other controls are shown as their pictures. With `colours` sequences of
    colours and the like (SGR) stay, and are ended with the line.
    """
    text = text.removesuffix("\r")
    if _SUSPICIOUS.search(text) is None:
        return text
    keep = _COLOUR if colours else None
    shown = _visible(_SEQUENCE.sub(lambda found: _kept(found[0], keep), text))
    return shown + _RESET if keep is not None and keep.search(shown) else shown


def lines(text: str) -> str:
    """Return text of several lines, each as `line` has it."""
    return "\n".join(map(line, text.split("\n")))


def json_text(text: str) -> str:
    """Return a JSON document in which what steers a terminal is escaped."""
    return _ESCAPED_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def guard() -> None:
    """Put `Guarded` before standard output and standard error, where they are terminals."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper) and stream.isatty():
            stream.flush()
            setattr(sys, name, Guarded(stream))


def unguarded(stream: TextIO) -> Callable[[str], object]:
    """Return what writes to the stream as it is."""
    return stream.unguarded if isinstance(stream, Guarded) else stream.write


class Guarded(TextIOWrapper):
    """A stream to a terminal, in place of the one that is given."""

    def __init__(self, stream: TextIOWrapper) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=True,
        )
        self._stream = stream  # at its end it would close what both write to

    def write(self, text: str, /) -> int:
        """Write what is harmless of the text; return the length of all of it."""
        if _SUSPICIOUS.search(text):
            left = _SEQUENCE.sub(lambda found: _kept(found[0], _COLOUR, _PROGRESS), text)
            super().write(_STRAY.sub("", left))
        else:
            super().write(text)
        return len(text)

    def unguarded(self, text: str) -> None:
        """Write the text as it is."""
        super().write(text)


def _kept(sequence: str, *patterns: re.Pattern[str] | None) -> str:
    known = any(pattern and pattern.fullmatch(sequence) for pattern in patterns)
    return sequence if known else ""


def _visible(text: str) -> str:
    """Show controls as pictures; those of colours that were kept stay."""
    parts = _COLOUR.split(text)
    kept = _COLOUR.findall(text)
    shown = [_SUSPICIOUS.sub(_picture, part) for part in parts]
    return "".join(part for pair in zip(shown, [*kept, ""], strict=True) for part in pair)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\N{SYMBOL FOR DELETE}" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"
