"""Commands whose streams are closed, full, left early or of few letters end in a sentence."""

import os
import signal
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from app.cli import streams
from tests.cli.support import COMMAND

# Prints a page, and asks nobody for it.
PRINTS = " ".join([*COMMAND, "permissions"])
WRONG = "Error: The output cannot be written: "


def in_shell(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        (f"{PRINTS} | true; exit ${{PIPESTATUS[0]}}", streams.LEFT, ""),
        (f"{PRINTS} >/dev/full", 1, f"{WRONG}No space left on device.\n"),
        (f"{PRINTS} >&-", 1, f"{WRONG}Bad file descriptor.\n"),
        (f"{PRINTS} <&- 2>&- >/dev/null", 0, ""),
        (f"{' '.join(COMMAND)} login <&-", 2, "no terminal to ask"),
    ],
    ids=["left", "full", "closed", "only-output", "no-input"],
)
def test_stream_that_is_not_there(script: str, code: int, said: str) -> None:
    done = in_shell(script)

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stderr and (said or not done.stderr)


def interrupted(seconds: float) -> tuple[int, str]:
    """Press Ctrl-C so long after a start; return the exit code and what was said."""
    script = Path(sys.executable).parent / "vibebox"
    process = subprocess.Popen(
        [script, "permissions"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


def test_ctrl_c_at_any_moment_is_no_traceback() -> None:
    begun = 0
    for seconds in (0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 4.0):
        code, said = interrupted(seconds)
        if said.startswith("Fatal Python error") or "<frozen site>" in said:
            continue  # on a busy machine it is Python that still begins
        assert "Traceback" not in said
        assert code in (0, 130, -signal.SIGINT)
        begun += 1
        if begun == 3:
            break
    assert begun == 3


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "café … → 日".encode()),
        ("ascii", "café … → 日".encode()),
        ("latin-1", b"caf\xe9 ... -> \\u65e5"),
    ],
)
def test_text_that_the_terminal_has_no_letters_for(
    monkeypatch: pytest.MonkeyPatch, encoding: str, written: bytes
) -> None:
    buffer = BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, TextIOWrapper(buffer, encoding=encoding))
    streams.prepare()
    print("café … → 日", end="", flush=True)
    print("\ud800", end="", flush=True)

    assert buffer.getvalue() == written + b"\\ud800"
