"""The standard streams of a command: closed, full, left early, or of few letters."""

import codecs
import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

LEFT = 128 + signal.SIGPIPE
"""Exit code where whoever read the output has left, as `head` does: that of other commands."""
UNWRITABLE = 1

_HANDLER = "vibebox"
_PLAIN = {"…": "...", "\N{EN DASH}": "-", "→": "->", "·": "-"}
# What writing to standard output may end in; no other error of a command has these.
_OUTPUT_ERRORS = (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EFBIG, errno.EDQUOT)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Write what a terminal has no letters for in letters that it has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = (_PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode() for char in text)
    return "".join(plain), error.end


def prepare() -> None:
    """Have streams to read from and write to, which take any text."""
    codecs.register_error(_HANDLER, _replaced)
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:  # it was closed; what is opened first takes its place
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_RDONLY), descriptor)
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Who says ASCII mostly says nothing: in the locale "C", or without one.
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            encoding = "utf-8" if ascii_only else stream.encoding
            stream.reconfigure(encoding=encoding, errors=_HANDLER)


@contextmanager
def guarded() -> Iterator[None]:
    """Carry out a command, and say in a sentence what its output could not be written for."""
    try:
        try:
            yield
        finally:
            # Now, while it can be told: at the end of the process it would be a traceback.
            sys.stdout.flush()
    except BrokenPipeError:
        abandon()
        sys.exit(LEFT)
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS or error.filename is not None:
            raise
        abandon()
        with suppress(OSError):
            print(f"Error: The output cannot be written: {error.strerror}.", file=sys.stderr)
        sys.exit(UNWRITABLE)


def abandon() -> None:
    """Let go of what cannot be written, so that the end of the process does not try again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
