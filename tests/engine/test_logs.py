"""Logs of a real Docker Engine.

Learnt from 20.10: headers come before the first line, so that a silent log is established at once;
a container that was never started has an empty log that ends at once, also when it is followed.
Times rise within each stream, and no two records of 100,000 had the same, pieces of one long line
excepted; between the streams records may stand a little out of order. How Docker's own following
errs is told in `app.engine.log_following`. What a container prints
without a newline is recorded when it ends, and looks like a piece of a longer line. `since` is
inclusive, to the nanosecond.
"""

import time
from typing import Any

import pytest

from app.core.errors import ContainerNotFoundError
from app.engine import ContainerSpec, DockerEngine, LogLine
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.engine.conftest import Launch
from tests.engine.following import following
from tests.engine.images import until_ended

pytestmark = pytest.mark.integration

LINES = 10_000  # on each stream
TALK = f"i=0; while [ $i -lt {LINES} ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"


def _texts(lines: list[LogLine], stream: str) -> list[bytes]:
    return [line.text for line in lines if line.stream == stream]


def _all(gateway: DockerEngine, container: str, since_ns: int | None = None) -> list[LogLine]:
    with gateway.logs(container, since_ns=since_ns) as stream:
        return list(stream)


def test_every_line_comes_once_and_in_order(gateway: DockerEngine, launch: Launch) -> None:
    container = launch(TALK)
    with following(gateway.logs(container, follow=True)) as follower:
        lines = follower.end()
    assert _texts(lines, "stdout") == [b"out %d" % number for number in range(LINES)]
    assert _texts(lines, "stderr") == [b"err %d" % number for number in range(LINES)]
    assert not any(line.partial for line in lines)
    for stream in ("stdout", "stderr"):
        times = [line.at_ns for line in lines if line.stream == stream]
        assert times == sorted(times)
    assert abs(lines[-1].at_ns / 1e9 - time.time()) < 60
    assert _all(gateway, container) == lines  # followed or read afterwards: the same


def test_no_line_is_lost_or_repeated_by_rotation(
    gateway: DockerEngine, docker_engine: RealEngine, raw: Any
) -> None:
    files = {"max-size": "500k", "max-file": "9"}  # about 7 for what it prints
    container = raw.create_container(
        docker_engine.busybox,
        ["sh", "-c", f"{TALK}; sleep 0.5; echo last"],
        host_config=raw.create_host_config(log_config={"Type": "json-file", "Config": files}),
    )["Id"]
    gateway.start(container)
    with following(gateway.logs(container, follow=True)) as follower:
        lines = follower.end()
    gateway.remove(container)
    assert _texts(lines, "stdout") == [*(b"out %d" % number for number in range(LINES)), b"last"]
    assert _texts(lines, "stderr") == [b"err %d" % number for number in range(LINES)]


def test_following_begins_where_it_is_told(gateway: DockerEngine, running: str) -> None:
    say = "echo out $0 > /proc/1/fd/1; echo err $0 > /proc/1/fd/2"
    with following(gateway.logs(running, follow=True)) as follower:
        for number in range(3):
            gateway.exec(running, ["sh", "-c", say, str(number)])
        lines = follower.wait_for(lambda lines: len(lines) == 6)
    since = max(line.at_ns for line in lines if line.text.endswith(b"1"))
    with following(gateway.logs(running, since_ns=since, follow=True)) as follower:
        gateway.exec(running, ["sh", "-c", say, "3"])
        resumed = follower.wait_for(lambda lines: lines[-1:] and lines[-1].text[-1:] == b"3")
        gateway.stop(running, grace=5)
        resumed = follower.end()
    assert [line for line in resumed if line.text[-1:] != b"3"] == [
        line for line in lines if line.at_ns >= since
    ]
    assert {line.text for line in resumed if line.text[-1:] == b"3"} == {b"out 3", b"err 3"}


def test_reading_goes_on_from_any_line(gateway: DockerEngine, launch: Launch) -> None:
    container = launch(TALK)
    until_ended(gateway, container)
    lines = _all(gateway, container)
    for index in (0, 1, LINES // 2, len(lines) - 1):
        since = lines[index].at_ns
        resumed = _all(gateway, container, since)
        assert resumed == [line for line in lines if line.at_ns >= since]
        assert lines[index] in resumed
    assert _all(gateway, container, lines[-1].at_ns + 1) == []


def test_long_lines_come_in_pieces(gateway: DockerEngine, launch: Launch) -> None:
    container = launch("head -c 40000 /dev/zero | tr '\\0' x; echo; echo; printf end")
    until_ended(gateway, container)
    lines = _all(gateway, container)
    assert [(len(line.text), line.partial) for line in lines] == [
        (16384, True), (16384, True), (7232, False), (0, False), (3, True),
    ]  # fmt: skip
    assert b"".join(line.text for line in lines[:3]) == b"x" * 40000
    assert len({line.at_ns for line in lines[:3]}) == 1


def test_any_bytes_pass_through(gateway: DockerEngine, launch: Launch) -> None:
    # Bytes that are no UTF-8 become U+FFFD in Docker's own file.
    container = launch("printf 'a\\tb \\033[1mc\\r\\n  d \\n\\303\\244\\377\\n'")
    until_ended(gateway, container)
    assert [line.text for line in _all(gateway, container)] == [
        b"a\tb \x1b[1mc\r", b"  d ", "ä\N{REPLACEMENT CHARACTER}".encode(),
    ]  # fmt: skip


def test_silent_log_is_established_at_once(gateway: DockerEngine, running: str) -> None:
    begun = time.monotonic()
    with following(gateway.logs(running, follow=True)) as follower:
        assert time.monotonic() - begun < 5
        gateway.exec(running, ["sh", "-c", "echo hello > /proc/1/fd/1"])
        assert [line.text for line in follower.wait_for(len)] == [b"hello"]


def test_following_ends_when_the_container_stops(gateway: DockerEngine, running: str) -> None:
    with following(gateway.logs(running, follow=True)) as follower:
        gateway.stop(running, grace=5)
        assert follower.end() == []


def test_log_outlives_a_restart(gateway: DockerEngine, launch: Launch) -> None:
    container = launch("echo once")
    until_ended(gateway, container)
    gateway.start(container)
    until_ended(gateway, container)
    first, second = _all(gateway, container)
    assert (first.text, second.text) == (b"once", b"once")
    assert first.at_ns < second.at_ns


def test_container_never_started_has_an_empty_log(
    gateway: DockerEngine, spec: ContainerSpec
) -> None:
    container = gateway.create(spec)
    with following(gateway.logs(container, follow=True)) as follower:
        assert follower.end() == []


def test_absent_container_has_no_log(gateway: DockerEngine) -> None:
    with pytest.raises(ContainerNotFoundError):
        gateway.logs("vibebox-absent", follow=True)
