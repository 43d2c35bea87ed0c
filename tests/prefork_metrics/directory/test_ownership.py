"""One web server to a directory; agents beside it, binary upgrades and restarts are let in."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from prefork_metrics.directory import (
    Owner,
    Ownership,
    layout,
    owner_of,
    prepare,
    prepare_for_server,
    refuse_second,
)
from prefork_metrics.errors import MetricsDirectoryError, MetricsDirectoryInUseError
from tests.prefork_metrics.directory.support import names, write_dead

INHERIT = """
import sys
from pathlib import Path
from prefork_metrics.directory import Ownership, prepare_for_server
directory, told = Path(sys.argv[1]), sys.argv[2]
ownership, live = prepare_for_server(directory, "here", inherited=told)
print(live, flush=True)
sys.stdin.readline()
"""


def test_second_server_is_refused_in_a_sentence(directory: Path) -> None:
    first, live = prepare_for_server(directory, "127.0.0.1:3000")
    assert live == 0
    for start in (lambda: prepare_for_server(directory, "x"), lambda: refuse_second(directory)):
        with pytest.raises(MetricsDirectoryInUseError) as caught:
            start()
        said = str(caught.value)
        assert f"process {os.getpid()} on " in said and "127.0.0.1:3000" in said
        assert str(directory) in said and "directory of its own" in said
    first.forget()
    refuse_second(directory)
    again, _ = prepare_for_server(directory, "x")
    again.forget()


def test_refusal_needs_no_description(directory: Path) -> None:
    first, _ = prepare_for_server(directory, "x")
    (directory / layout.OWNER).write_text("garbled")
    with pytest.raises(MetricsDirectoryError, match="another web server's, and"):
        prepare_for_server(directory, "x")
    first.forget()


def test_owner_is_who_holds_the_lock(directory: Path) -> None:
    assert owner_of(directory) is None
    first, _ = prepare_for_server(directory, "127.0.0.1:3000")
    assert owner_of(directory) == Owner(os.getpid(), socket.gethostname(), "127.0.0.1:3000")
    (directory / layout.OWNER).write_text("garbled")
    assert owner_of(directory) == Owner()
    first.forget()
    assert owner_of(directory) is None  # its description is still there


def test_agent_is_let_in_and_cleans_nothing(directory: Path) -> None:
    """Also where no process of the server found room for a marker."""
    first, _ = prepare_for_server(directory, "x")
    write_dead(directory)
    assert prepare(directory) == 1
    assert any("archive" in name for name in names(directory))
    first.forget()
    assert prepare(directory) == 0
    assert names(directory) == [layout.OWNER]


def test_refuse_second_before_there_is_a_directory(tmp_path: Path) -> None:
    refuse_second(tmp_path / "nowhere")


def test_lock_is_handed_down_without_a_gap(directory: Path) -> None:
    first, _ = prepare_for_server(directory, "x")
    told = first.hand_down()
    with subprocess.Popen(
        [sys.executable, "-c", INHERIT, str(directory), told],
        close_fds=False,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as successor:
        assert successor.stdout and successor.stdout.readline() == "1\n"
        first.forget()  # the old master ends
        with pytest.raises(MetricsDirectoryInUseError):
            refuse_second(directory)
        successor.communicate("\n")
    refuse_second(directory)


def test_worker_that_outlives_its_master_keeps_nobody_out(directory: Path) -> None:
    first, _ = prepare_for_server(directory, "x")
    (reader, writer), (end, ending) = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        first.forget()  # as each worker does
        os.write(writer, b"!")
        os.read(end, 1)
        os._exit(0)
    os.read(reader, 1)
    first.forget()  # what the kernel does to a master that is killed
    Ownership.take(directory, "y").forget()
    os.write(ending, b"!")
    os.waitpid(child, 0)
    for descriptor in (reader, writer, end, ending):
        os.close(descriptor)
