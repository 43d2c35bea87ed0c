"""Text of others on a terminal: it shows itself, and does nothing."""

import io
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from app.cli import screen
from app.cli.client.log_commands import Printer

TITLE = "\x1b]0;pwned\x07"
CLIPBOARD = "\x1b]52;c;cm0gLXJmIH4=\x1b\\"
CLEAR = "\x1b[2J\x1b[H"
HOSTILE = {
    "title": (f"a{TITLE}b", "ab"),
    "title to ST": ("a\x1b]2;pwned\x1b\\b", "ab"),
    "clipboard": (f"a{CLIPBOARD}b", "ab"),
    "8-bit string": ("a\x9d52;c;eA==\x9cb", "ab"),
    "clear": (f"a{CLEAR}b", "ab"),
    "8-bit control sequence": ("a\x9b2Jb", "ab"),
    "cursor up and over": ("a\x1b[1A\x1b[2Kb", "ab"),
    "question that the terminal answers": ("a\x1b[6n\x1b[c\x1bZb", "ab"),
    "device control": ("a\x1bP+q544e\x1b\\b", "ab"),
    "privacy message": ("a\x1b^x\x1b\\b", "ab"),
    "reset": ("a\x1bcb", "ab"),
    "other letters": ("a\x1b(0b", "ab"),
    "link": ("\x1b]8;;http://evil.example\x07here\x1b]8;;\x07", "here"),
    "string without an end": ("a\x1b]0;b", "a0;b"),
    "sequence without an end": ("a\x1b[", "a"),
    "sequence in a sequence": ("\x1b\x1b[[2Jb", "2Jb"),
    "carriage return": ("harmless\rrm -rf", "harmless␍rm -rf"),
    "end of a line of DOS": ("a\r", "a"),
    "backspaces": ("a\b\b\bb", "a␈␈␈b"),
    "wakeup": ("a\ab", "a␇b"),
    "NUL and DEL": ("\0\x7f", "␀␡"),
    "turned around": ("a\u202eb\u2066c", "a\ufffdb\ufffdc"),
    "line separator": ("a\u2028b", "a\ufffdb"),
}
HARMLESS = ("plain", "tab\there", "ünïcödé 漢字", "👩\u200d💻", "C:\\dir [0m", "")


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_line_shows_itself_and_does_nothing(text: str, shown: str) -> None:
    assert screen.line(text) == shown
    assert screen.line(text, colours=True) == shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_does_nothing_stays_as_it_is(text: str) -> None:
    assert screen.line(text) == text
    assert screen.line(text, colours=True) == text


def test_colours_of_a_log_stay_and_end_with_the_line() -> None:
    red = "\x1b[1;31mred\x1b[38;5;8mgrey\x1b[4:3m"
    assert screen.line(red, colours=True) == f"{red}\x1b[0m"
    assert screen.line(red) == "redgrey"
    assert screen.line(f"\x1b[31m{TITLE}\x1b[0m", colours=True) == "\x1b[31m\x1b[0m\x1b[0m"


def test_text_of_several_lines_keeps_them() -> None:
    assert screen.lines(f"one{CLEAR}\n  two\r\n") == "one\n  two\n"


def test_json_stays_what_it_was() -> None:
    value = {"a": "ü\x9b2J\u202e\x7f\x1b]0;x\x07"}
    text = screen.json_text(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert "ü" in text
    assert text.isprintable()


@pytest.fixture
def terminal() -> Iterator[tuple[io.TextIOWrapper, int]]:
    """A stream to a terminal, and the descriptor of who sees it."""
    seen, shown = pty.openpty()
    with os.fdopen(shown, "w", encoding="utf-8") as stream:
        yield stream, seen
    os.close(seen)


def test_guarded_stream_lets_text_colours_and_progress_through(
    terminal: tuple[io.TextIOWrapper, int],
) -> None:
    stream, seen = terminal
    guarded = screen.Guarded(stream)
    for text in (f"a{TITLE}{CLIPBOARD}{CLEAR}b", "\x1b", "]0;x\a", "\x1b[31mred\x1b[0m\r\x1b[K"):
        assert guarded.write(text) == len(text)
    screen.unguarded(guarded)(TITLE)
    guarded.flush()
    told = b""
    while not told.endswith(TITLE.encode()):  # a terminal passes it on in parts
        told += os.read(seen, 1000)
    assert told.decode() == f"ab]0;x\x1b[31mred\x1b[0m\r\x1b[K{TITLE}"
    guarded.detach()


LINE = {"id": 1, "at": "2026-01-01T00:00:00.000000000Z", "stream": "stdout"}
WRITTEN = f"a{TITLE}{CLIPBOARD}\x1b[31mred\x9b2J\x1b[0m"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "a\x1b[31mred\x1b[0m\x1b[0m"),
        ({"timestamps": True}, f"{LINE['at']} a\x1b[31mred\x1b[0m\x1b[0m"),
        ({"raw": True}, WRITTEN),
    ],
    ids=["as it is", "with times", "raw"],
)
def test_log_on_a_terminal(
    terminal: tuple[io.TextIOWrapper, int],
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, bool],
    shown: str,
) -> None:
    stream, seen = terminal
    guarded = screen.Guarded(stream)
    monkeypatch.setattr(sys, "stdout", guarded)
    monkeypatch.delenv("NO_COLOR", raising=False)
    Printer(**options).print(iter([[{**LINE, "line": WRITTEN}]]))
    assert os.read(seen, 1000).decode() == f"{shown}\r\n"
    guarded.detach()


def test_log_in_a_pipe_is_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    Printer().print(iter([[{**LINE, "line": WRITTEN}]]))
    assert capsys.readouterr().out == f"{WRITTEN}\n"
    Printer(as_json=True).print(iter([[{**LINE, "line": WRITTEN}]]))
    printed = capsys.readouterr().out
    assert json.loads(printed)["line"] == WRITTEN
    assert printed.removesuffix("\n").isprintable()


_PRINTS = f"""
import click
from app.cli.main import main
from app.core.errors import VibeBoxError

@main.command()
def boast():
    click.echo({TITLE!r} + "said")
    raise VibeBoxError({CLIPBOARD!r} + "failed")

main(["boast"], prog_name="vibebox")
"""


def test_no_command_passes_such_text_to_a_terminal() -> None:
    """Whatever a command forgets: the streams of all of them are guarded."""
    seen, shown = pty.openpty()
    program = [sys.executable, "-c", _PRINTS]
    with subprocess.Popen(program, stdin=shown, stdout=shown, stderr=shown) as process:
        os.close(shown)
        output = _read_all(seen)
        assert process.wait(30) == 2
    os.close(seen)
    assert output.decode() == "said\r\nInternal error: failed\r\n"


def _read_all(descriptor: int) -> bytes:
    chunks: list[bytes] = []

    def read() -> None:
        while True:
            try:
                chunk = os.read(descriptor, 4096)
            except OSError:  # nobody has the other end any more
                return
            if not chunk:
                return
            chunks.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(60)
    return b"".join(chunks)
