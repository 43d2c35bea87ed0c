"""The door against a real Docker Engine."""

import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from app.core.errors import (
    CommandRunawayError,
    CommandTimeoutError,
    ContainerNotFoundError,
    EngineConflictError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    ExecutableMissingError,
    ImageMissingError,
    PortTakenError,
)
from app.engine import ENVIRONMENT_LABEL, ContainerSpec, DockerEngine, PortBinding
from app.engine.hanging import MOST
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.backends.programs import free_port
from tests.engine.images import commit, until_ended
from tests.engine.leaks import without_leaks

pytestmark = pytest.mark.integration

SOON = 10.0  # seconds; far above what is expected, since the machine may be busy


def test_container_lives_from_create_to_remove(door: DockerEngine, spec: ContainerSpec) -> None:
    container = door.create(spec)
    created = door.inspect(container)
    assert (created.id, created.status, created.running) == (container, "created", False)
    assert (created.exit_code, created.started_at) == (None, None)

    door.start(container)
    started = door.inspect(spec.name)
    assert (started.status, started.running, started.exit_code) == ("running", True, None)
    assert started.started_at is not None and started.started_at.utcoffset() is not None

    door.restart(container, grace=5)
    restarted = door.inspect(container)
    assert restarted.running
    assert restarted.started_at is not None and restarted.started_at > started.started_at

    door.stop(container, grace=5)
    stopped = door.inspect(container)
    assert (stopped.status, stopped.running, stopped.oom_killed) == ("exited", False, False)
    assert stopped.exit_code is not None

    door.remove(container)
    with pytest.raises(ContainerNotFoundError):
        door.inspect(container)


def test_starting_and_stopping_twice_is_fine(door: DockerEngine, running: str) -> None:
    door.start(running)
    door.stop(running, grace=5)
    door.stop(running, grace=5)


def test_bare_shell_stops_well_within_its_grace(door: DockerEngine, running: str) -> None:
    begun = time.monotonic()
    door.stop(running, grace=60)
    assert time.monotonic() - begun < 30


def test_remove_twice_is_fine(door: DockerEngine, running: str) -> None:
    door.remove(running)
    door.remove(running)


def test_limits_and_security_are_really_set(
    door: DockerEngine, spec: ContainerSpec, raw: Any
) -> None:
    details = raw.inspect_container(door.create(replace(spec, pids_limit=77)))
    host = details["HostConfig"]
    assert details["Config"]["Labels"][ENVIRONMENT_LABEL] == spec.environment_id
    assert (host["Memory"], host["MemorySwap"]) == (64 * 2**20, 64 * 2**20)
    assert (host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 77)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["CapDrop"] == ["ALL"]
    assert not {"NET_RAW", "MKNOD", "SYS_ADMIN"} & set(host["CapAdd"])
    assert not host["Privileged"] and not host["Binds"] and not details["Mounts"]
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["LogConfig"]["Type"] == "json-file" and host["LogConfig"]["Config"]["max-size"]


def test_limits_hold_inside(door: DockerEngine, running: str) -> None:
    status = door.exec(running, ["cat", "/proc/self/status"]).stdout.decode()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["NoNewPrivs"].strip() == "1"
    net_raw, sys_admin, chown = 1 << 13, 1 << 21, 1 << 0
    capabilities = int(fields["CapEff"], 16)
    assert capabilities & chown
    assert not capabilities & (net_raw | sys_admin)


def test_memory_limit_kills_and_shows(
    door: DockerEngine, spec: ContainerSpec, docker_engine: RealEngine, raw: Any
) -> None:
    tag = commit(raw, docker_engine, "exec tail /dev/zero")
    try:
        container = door.create(replace(spec, image=tag, memory_limit_mb=16))
        door.start(container)
        state = until_ended(door, container)
        assert state.oom_killed
        door.remove(container)
    finally:
        raw.remove_image(tag, force=True)


def test_environment_reaches_the_command(door: DockerEngine, running: str) -> None:
    result = door.exec(running, ["sh", "-c", 'echo "$GREETING"'])
    assert result.stdout == b"hello = world\n"


def test_published_port_answers_on_loopback_only(door: DockerEngine, spec: ContainerSpec) -> None:
    container = door.create(replace(spec, ports=[PortBinding(8000), PortBinding(8001)]))
    door.start(container)
    first, second = door.inspect(container).ports
    assert (first.container_port, second.container_port) == (8000, 8001)
    assert first.host_port and second.host_port and first.host_port != second.host_port
    serve = "echo here > /tmp/index.html && httpd -p 8000 -h /tmp"
    assert door.exec(container, ["sh", "-c", serve]).exit_code == 0
    with urllib.request.urlopen(f"http://127.0.0.1:{first.host_port}/", timeout=SOON) as answer:
        assert answer.read() == b"here\n"


def test_ports_are_bound_on_the_publish_address(
    door: DockerEngine, spec: ContainerSpec, raw: Any
) -> None:
    container = door.create(replace(spec, ports=[PortBinding(8000)]))
    door.start(container)
    bindings = raw.inspect_container(container)["NetworkSettings"]["Ports"]["8000/tcp"]
    assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}


def test_taken_port_is_named(door: DockerEngine, spec: ContainerSpec) -> None:
    holder = door.create(replace(spec, ports=[PortBinding(8000)]))
    door.start(holder)
    taken = door.inspect(holder).ports[0].host_port
    other = door.create(replace(spec, name=f"{spec.name}-2", ports=[PortBinding(80, taken)]))
    with pytest.raises(PortTakenError):
        door.start(other)
    assert not door.inspect(other).running


def test_ports_are_picked_from_the_range(door: DockerEngine, spec: ContainerSpec) -> None:
    first = free_port()
    wanted = [PortBinding(8000), PortBinding(8000, protocol="udp"), PortBinding(53, free_port())]
    container = door.create(replace(spec, ports=wanted, picked_from=(first, first)))
    door.start(container)
    found = {(port.container_port, port.protocol): port for port in door.inspect(container).ports}
    assert {found[8000, "tcp"].host_port, found[8000, "udp"].host_port} == {first}
    assert found[53, "tcp"].host_port == wanted[2].host_port
    other = replace(
        spec, name=f"{spec.name}-2", ports=[PortBinding(80)], picked_from=(first, first)
    )
    with pytest.raises(PortTakenError):
        door.start(door.create(other))


@pytest.mark.parametrize("code", [0, 3, 126, 127])
def test_exec_gives_the_real_exit_code_and_both_streams(
    door: DockerEngine, running: str, code: int
) -> None:
    result = door.exec(running, ["sh", "-c", f"echo out; echo err >&2; exit {code}"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, b"out\n", b"err\n")
    assert not result.truncated


def test_exec_output_is_bounded(door: DockerEngine, running: str) -> None:
    result = door.exec(running, ["sh", "-c", "yes | head -c 3000000; echo done >&2"])
    assert (len(result.stdout), result.stderr, result.truncated) == (2**20, b"done\n", True)
    assert result.exit_code == 0


def test_exec_waits_for_a_command_that_closed_its_output(door: DockerEngine, running: str) -> None:
    script = "exec >/dev/null 2>&1; sleep 0.5; exit 5"
    assert door.exec(running, ["sh", "-c", script]).exit_code == 5


@pytest.mark.parametrize("command", ["nosuch", "/nosuch", "/etc/passwd", "/etc"])
def test_exec_of_what_cannot_be_executed(door: DockerEngine, running: str, command: str) -> None:
    with pytest.raises(ExecutableMissingError, match=command):
        door.exec(running, [command])


def test_put_file_is_there_for_its_owner(door: DockerEngine, running: str) -> None:
    content = bytes(range(256)) * 5000
    door.put_file(running, "/tmp/put.bin", content, (1000, 7))
    listed = door.exec(running, ["stat", "-c", "%u %g %a %s", "/tmp/put.bin"]).stdout
    assert listed.decode().split() == ["1000", "7", "644", str(len(content))]
    assert door.exec(running, ["tail", "-c", "256", "/tmp/put.bin"]).stdout == bytes(range(256))
    with pytest.raises(EngineError):
        door.put_file(running, "/none/put.bin", b"", (0, 0))
    with pytest.raises(ContainerNotFoundError):
        door.put_file("none", "/tmp/put.bin", b"", (0, 0))


def test_exec_in_a_stopped_container_is_a_conflict(door: DockerEngine, spec: ContainerSpec) -> None:
    container = door.create(spec)
    with pytest.raises(EngineConflictError):
        door.exec(container, ["true"])


TALKING = ["sh", "-c", "while :; do echo; sleep 0.1; done"]


@pytest.mark.parametrize("argv", [["sleep", "30"], TALKING], ids=["silent", "talking"])
def test_exec_ends_at_its_deadline(door: DockerEngine, running: str, argv: list[str]) -> None:
    door.exec(running, ["true"])
    with without_leaks():
        begun = time.monotonic()
        with pytest.raises(CommandTimeoutError, match="may still be running"):
            door.exec(running, argv, timeout=0.5)
        assert time.monotonic() - begun < SOON


def test_command_that_prints_without_end_is_read_no_further(
    door: DockerEngine, running: str
) -> None:
    door.exec(running, ["true"])
    with without_leaks(), pytest.raises(CommandRunawayError):
        door.exec(running, ["yes"])


def test_container_in_which_commands_hang_gets_no_more_of_them(
    door: DockerEngine, running: str
) -> None:
    for _ in range(MOST):
        with pytest.raises(CommandTimeoutError):
            door.exec(running, ["sleep", "60"], timeout=0.3)
    with pytest.raises(CommandRunawayError):
        door.exec(running, ["true"])

    door.restart(running, 0)  # which ends them
    assert door.exec(running, ["true"]).exit_code == 0


def test_missing_image_is_named(door: DockerEngine, spec: ContainerSpec) -> None:
    with pytest.raises(ImageMissingError, match="no/such:image"):
        door.inspect_image("no/such:image")
    with pytest.raises(ImageMissingError, match="no/such:image"):
        door.create(replace(spec, image="no/such:image"))


def test_image_id(door: DockerEngine, docker_engine: RealEngine, raw: Any) -> None:
    assert (
        door.inspect_image(docker_engine.busybox) == raw.inspect_image(docker_engine.busybox)["Id"]
    )


ABSENT: dict[str, Callable[[DockerEngine], object]] = {
    "inspect": lambda door: door.inspect("vibebox-absent"),
    "start": lambda door: door.start("vibebox-absent"),
    "stop": lambda door: door.stop("vibebox-absent", 1),
    "restart": lambda door: door.restart("vibebox-absent", 1),
    "exec": lambda door: door.exec("vibebox-absent", ["true"]),
}


@pytest.mark.parametrize("call", ABSENT.values(), ids=ABSENT)
def test_absent_container_is_not_found(
    door: DockerEngine, call: Callable[[DockerEngine], object]
) -> None:
    with pytest.raises(ContainerNotFoundError):
        call(door)


def test_create_replaces_what_an_earlier_create_left(
    door: DockerEngine, spec: ContainerSpec
) -> None:
    first = door.create(spec)
    second = door.create(spec)
    assert door.inspect(spec.name).id == second
    with pytest.raises(ContainerNotFoundError):
        door.inspect(first)


def test_create_leaves_a_foreign_container_alone(door: DockerEngine, spec: ContainerSpec) -> None:
    mine = door.create(spec)
    with pytest.raises(EngineConflictError, match="does not belong"):
        door.create(replace(spec, environment_id="another"))
    assert door.inspect(spec.name).id == mine


def test_container_whose_command_ends_at_once(
    door: DockerEngine, spec: ContainerSpec, docker_engine: RealEngine, raw: Any
) -> None:
    tag = commit(raw, docker_engine, "exit 7")
    try:
        container = door.create(replace(spec, image=tag))
        door.start(container)
        state = until_ended(door, container)
        assert (state.status, state.exit_code, state.oom_killed) == ("exited", 7, False)
        door.remove(container)
    finally:
        raw.remove_image(tag, force=True)


def test_hung_engine_holds_nobody_past_the_deadline(
    door: DockerEngine, docker_engine: RealEngine, running: str
) -> None:
    door.exec(running, ["true"])
    with without_leaks():
        docker_engine.suspend()
        try:
            begun = time.monotonic()
            with pytest.raises(EngineTimeoutError):
                door.ping(0.8)
            assert time.monotonic() - begun < 3
            with pytest.raises(EngineTimeoutError):
                DockerEngine(docker_engine.host).ping(0.3)  # hangs in the negotiation
        finally:
            docker_engine.resume()
    door.ping()


def test_engine_that_hangs_during_an_exec(
    door: DockerEngine, docker_engine: RealEngine, running: str
) -> None:
    door.exec(running, ["true"])
    with without_leaks(), ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        command = pool.submit(door.exec, running, ["sh", "-c", "echo a; sleep 60"], timeout=3)
        time.sleep(1)  # well into the command
        docker_engine.suspend()
        try:
            with pytest.raises(EngineTimeoutError):
                command.result(timeout=30)
            assert time.monotonic() - begun < 3 + SOON
        finally:
            docker_engine.resume()
    assert door.inspect(running).running


def test_stopped_engine_is_unreachable_at_once_and_found_again(
    door: DockerEngine, docker_engine: RealEngine, spec: ContainerSpec
) -> None:
    door.ping()
    docker_engine.stop()
    try:
        begun = time.monotonic()
        with pytest.raises(EngineUnreachableError):
            door.ping()
        with pytest.raises(EngineUnreachableError):
            door.create(spec)
        assert time.monotonic() - begun < SOON
    finally:
        docker_engine.start()
    door.ping()
    door.create(spec)


def test_sixteen_threads_at_once(door: DockerEngine, running: str) -> None:
    def commands(number: int) -> set[bytes]:
        script = ["sh", "-c", f"sleep 0.2; echo {number}"]
        return {door.exec(running, script).stdout for _ in range(2)}

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(commands, range(16)))
    assert results == [{f"{number}\n".encode()} for number in range(16)]


def test_first_calls_at_once_share_one_client(docker_engine: RealEngine) -> None:
    door = DockerEngine(docker_engine.host, query_timeout=30)
    with without_leaks():
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: door.ping(), range(64)))
        door.close()


def test_fork_gets_a_connection_of_its_own(door: DockerEngine, running: str) -> None:
    assert door.exec(running, ["echo", "parent"]).stdout == b"parent\n"
    child = os.fork()
    if child == 0:
        # _exit in every case: a child of pytest must not go on as a second pytest.
        code = 1
        try:
            before = set(_sockets())
            assert door.exec(running, ["echo", "child"]).stdout == b"child\n"
            assert set(_sockets()) > before
            code = 0
        finally:
            os._exit(code)
    assert door.exec(running, ["echo", "parent"]).stdout == b"parent\n"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert door.exec(running, ["echo", "parent"]).stdout == b"parent\n"


def _sockets() -> Iterator[str]:
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:  # the listing's own descriptor
            continue
        if target.startswith("socket:"):
            yield target
