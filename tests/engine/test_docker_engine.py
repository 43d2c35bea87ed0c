"""The gateway against a real Docker Engine."""

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


def test_container_lives_from_create_to_remove(gateway: DockerEngine, spec: ContainerSpec) -> None:
    container = gateway.create(spec)
    created = gateway.inspect(container)
    assert (created.id, created.status, created.running) == (container, "created", False)
    assert (created.exit_code, created.started_at) == (None, None)

    gateway.start(container)
    started = gateway.inspect(spec.name)
    assert (started.status, started.running, started.exit_code) == ("running", True, None)
    assert started.started_at is not None and started.started_at.utcoffset() is not None

    gateway.restart(container, grace=5)
    restarted = gateway.inspect(container)
    assert restarted.running
    assert restarted.started_at is not None and restarted.started_at > started.started_at

    gateway.stop(container, grace=5)
    stopped = gateway.inspect(container)
    assert (stopped.status, stopped.running, stopped.oom_killed) == ("exited", False, False)
    assert stopped.exit_code is not None

    gateway.remove(container)
    with pytest.raises(ContainerNotFoundError):
        gateway.inspect(container)


def test_starting_and_stopping_twice_is_fine(gateway: DockerEngine, running: str) -> None:
    gateway.start(running)
    gateway.stop(running, grace=5)
    gateway.stop(running, grace=5)


def test_bare_shell_stops_well_within_its_grace(gateway: DockerEngine, running: str) -> None:
    begun = time.monotonic()
    gateway.stop(running, grace=60)
    assert time.monotonic() - begun < 30


def test_remove_twice_is_fine(gateway: DockerEngine, running: str) -> None:
    gateway.remove(running)
    gateway.remove(running)


def test_limits_and_security_are_really_set(
    gateway: DockerEngine, spec: ContainerSpec, raw: Any
) -> None:
    details = raw.inspect_container(gateway.create(replace(spec, pids_limit=77)))
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


def test_limits_hold_inside(gateway: DockerEngine, running: str) -> None:
    status = gateway.exec(running, ["cat", "/proc/self/status"]).stdout.decode()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["NoNewPrivs"].strip() == "1"
    net_raw, sys_admin, chown = 1 << 13, 1 << 21, 1 << 0
    capabilities = int(fields["CapEff"], 16)
    assert capabilities & chown
    assert not capabilities & (net_raw | sys_admin)


def test_memory_limit_kills_and_shows(
    gateway: DockerEngine, spec: ContainerSpec, docker_engine: RealEngine, raw: Any
) -> None:
    tag = commit(raw, docker_engine, "exec tail /dev/zero")
    try:
        container = gateway.create(replace(spec, image=tag, memory_limit_mb=16))
        gateway.start(container)
        state = until_ended(gateway, container)
        assert state.oom_killed
        gateway.remove(container)
    finally:
        raw.remove_image(tag, force=True)


def test_environment_reaches_the_command(gateway: DockerEngine, running: str) -> None:
    result = gateway.exec(running, ["sh", "-c", 'echo "$GREETING"'])
    assert result.stdout == b"hello = world\n"


def test_published_port_answers_on_loopback_only(
    gateway: DockerEngine, spec: ContainerSpec
) -> None:
    container = gateway.create(replace(spec, ports=[PortBinding(8000), PortBinding(8001)]))
    gateway.start(container)
    first, second = gateway.inspect(container).ports
    assert (first.container_port, second.container_port) == (8000, 8001)
    assert first.host_port and second.host_port and first.host_port != second.host_port
    serve = "echo here > /tmp/index.html && httpd -p 8000 -h /tmp"
    assert gateway.exec(container, ["sh", "-c", serve]).exit_code == 0
    with urllib.request.urlopen(f"http://127.0.0.1:{first.host_port}/", timeout=SOON) as answer:
        assert answer.read() == b"here\n"


def test_ports_are_bound_on_the_publish_address(
    gateway: DockerEngine, spec: ContainerSpec, raw: Any
) -> None:
    container = gateway.create(replace(spec, ports=[PortBinding(8000)]))
    gateway.start(container)
    bindings = raw.inspect_container(container)["NetworkSettings"]["Ports"]["8000/tcp"]
    assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}


def test_taken_port_is_named(gateway: DockerEngine, spec: ContainerSpec) -> None:
    holder = gateway.create(replace(spec, ports=[PortBinding(8000)]))
    gateway.start(holder)
    taken = gateway.inspect(holder).ports[0].host_port
    other = gateway.create(replace(spec, name=f"{spec.name}-2", ports=[PortBinding(80, taken)]))
    with pytest.raises(PortTakenError):
        gateway.start(other)
    assert not gateway.inspect(other).running


def test_ports_are_picked_from_the_range(gateway: DockerEngine, spec: ContainerSpec) -> None:
    first = free_port()
    wanted = [PortBinding(8000), PortBinding(8000, protocol="udp"), PortBinding(53, free_port())]
    container = gateway.create(replace(spec, ports=wanted, picked_from=(first, first)))
    gateway.start(container)
    found = {
        (port.container_port, port.protocol): port for port in gateway.inspect(container).ports
    }
    assert {found[8000, "tcp"].host_port, found[8000, "udp"].host_port} == {first}
    assert found[53, "tcp"].host_port == wanted[2].host_port
    other = replace(
        spec, name=f"{spec.name}-2", ports=[PortBinding(80)], picked_from=(first, first)
    )
    with pytest.raises(PortTakenError):
        gateway.start(gateway.create(other))


@pytest.mark.parametrize("code", [0, 3, 126, 127])
def test_exec_gives_the_real_exit_code_and_both_streams(
    gateway: DockerEngine, running: str, code: int
) -> None:
    result = gateway.exec(running, ["sh", "-c", f"echo out; echo err >&2; exit {code}"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, b"out\n", b"err\n")
    assert not result.truncated


def test_exec_output_is_bounded(gateway: DockerEngine, running: str) -> None:
    result = gateway.exec(running, ["sh", "-c", "yes | head -c 3000000; echo done >&2"])
    assert (len(result.stdout), result.stderr, result.truncated) == (2**20, b"done\n", True)
    assert result.exit_code == 0


def test_exec_waits_for_a_command_that_closed_its_output(
    gateway: DockerEngine, running: str
) -> None:
    script = "exec >/dev/null 2>&1; sleep 0.5; exit 5"
    assert gateway.exec(running, ["sh", "-c", script]).exit_code == 5


@pytest.mark.parametrize("command", ["nosuch", "/nosuch", "/etc/passwd", "/etc"])
def test_exec_of_what_cannot_be_executed(gateway: DockerEngine, running: str, command: str) -> None:
    with pytest.raises(ExecutableMissingError, match=command):
        gateway.exec(running, [command])


def test_put_file_is_there_for_its_owner(gateway: DockerEngine, running: str) -> None:
    content = bytes(range(256)) * 5000
    gateway.put_file(running, "/tmp/put.bin", content, (1000, 7))
    listed = gateway.exec(running, ["stat", "-c", "%u %g %a %s", "/tmp/put.bin"]).stdout
    assert listed.decode().split() == ["1000", "7", "644", str(len(content))]
    assert gateway.exec(running, ["tail", "-c", "256", "/tmp/put.bin"]).stdout == bytes(range(256))
    with pytest.raises(EngineError):
        gateway.put_file(running, "/none/put.bin", b"", (0, 0))
    with pytest.raises(ContainerNotFoundError):
        gateway.put_file("none", "/tmp/put.bin", b"", (0, 0))


def test_exec_in_a_stopped_container_is_a_conflict(
    gateway: DockerEngine, spec: ContainerSpec
) -> None:
    container = gateway.create(spec)
    with pytest.raises(EngineConflictError):
        gateway.exec(container, ["true"])


TALKING = ["sh", "-c", "while :; do echo; sleep 0.1; done"]


@pytest.mark.parametrize("argv", [["sleep", "30"], TALKING], ids=["silent", "talking"])
def test_exec_ends_at_its_deadline(gateway: DockerEngine, running: str, argv: list[str]) -> None:
    gateway.exec(running, ["true"])
    with without_leaks():
        begun = time.monotonic()
        with pytest.raises(CommandTimeoutError, match="may still be running"):
            gateway.exec(running, argv, timeout=0.5)
        assert time.monotonic() - begun < SOON


def test_command_that_prints_without_end_is_read_no_further(
    gateway: DockerEngine, running: str
) -> None:
    gateway.exec(running, ["true"])
    with without_leaks(), pytest.raises(CommandRunawayError):
        gateway.exec(running, ["yes"])


def test_container_in_which_commands_hang_gets_no_more_of_them(
    gateway: DockerEngine, running: str
) -> None:
    for _ in range(MOST):
        with pytest.raises(CommandTimeoutError):
            gateway.exec(running, ["sleep", "60"], timeout=0.3)
    with pytest.raises(CommandRunawayError):
        gateway.exec(running, ["true"])

    gateway.restart(running, 0)  # which ends them
    assert gateway.exec(running, ["true"]).exit_code == 0


def test_missing_image_is_named(gateway: DockerEngine, spec: ContainerSpec) -> None:
    with pytest.raises(ImageMissingError, match="no/such:image"):
        gateway.inspect_image("no/such:image")
    with pytest.raises(ImageMissingError, match="no/such:image"):
        gateway.create(replace(spec, image="no/such:image"))


def test_image_id(gateway: DockerEngine, docker_engine: RealEngine, raw: Any) -> None:
    assert (
        gateway.inspect_image(docker_engine.busybox)
        == raw.inspect_image(docker_engine.busybox)["Id"]
    )


ABSENT: dict[str, Callable[[DockerEngine], object]] = {
    "inspect": lambda gateway: gateway.inspect("vibebox-absent"),
    "start": lambda gateway: gateway.start("vibebox-absent"),
    "stop": lambda gateway: gateway.stop("vibebox-absent", 1),
    "restart": lambda gateway: gateway.restart("vibebox-absent", 1),
    "exec": lambda gateway: gateway.exec("vibebox-absent", ["true"]),
}


@pytest.mark.parametrize("call", ABSENT.values(), ids=ABSENT)
def test_absent_container_is_not_found(
    gateway: DockerEngine, call: Callable[[DockerEngine], object]
) -> None:
    with pytest.raises(ContainerNotFoundError):
        call(gateway)


def test_create_replaces_what_an_earlier_create_left(
    gateway: DockerEngine, spec: ContainerSpec
) -> None:
    first = gateway.create(spec)
    second = gateway.create(spec)
    assert gateway.inspect(spec.name).id == second
    with pytest.raises(ContainerNotFoundError):
        gateway.inspect(first)


def test_create_leaves_a_foreign_container_alone(
    gateway: DockerEngine, spec: ContainerSpec
) -> None:
    mine = gateway.create(spec)
    with pytest.raises(EngineConflictError, match="does not belong"):
        gateway.create(replace(spec, environment_id="another"))
    assert gateway.inspect(spec.name).id == mine


def test_container_whose_command_ends_at_once(
    gateway: DockerEngine, spec: ContainerSpec, docker_engine: RealEngine, raw: Any
) -> None:
    tag = commit(raw, docker_engine, "exit 7")
    try:
        container = gateway.create(replace(spec, image=tag))
        gateway.start(container)
        state = until_ended(gateway, container)
        assert (state.status, state.exit_code, state.oom_killed) == ("exited", 7, False)
        gateway.remove(container)
    finally:
        raw.remove_image(tag, force=True)


def test_hung_engine_holds_nobody_past_the_deadline(
    gateway: DockerEngine, docker_engine: RealEngine, running: str
) -> None:
    gateway.exec(running, ["true"])
    with without_leaks():
        docker_engine.suspend()
        try:
            begun = time.monotonic()
            with pytest.raises(EngineTimeoutError):
                gateway.ping(0.8)
            assert time.monotonic() - begun < 3
            with pytest.raises(EngineTimeoutError):
                DockerEngine(docker_engine.host).ping(0.3)  # hangs in the negotiation
        finally:
            docker_engine.resume()
    gateway.ping()


def test_engine_that_hangs_during_an_exec(
    gateway: DockerEngine, docker_engine: RealEngine, running: str
) -> None:
    gateway.exec(running, ["true"])
    with without_leaks(), ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        command = pool.submit(gateway.exec, running, ["sh", "-c", "echo a; sleep 60"], timeout=3)
        time.sleep(1)  # well into the command
        docker_engine.suspend()
        try:
            with pytest.raises(EngineTimeoutError):
                command.result(timeout=30)
            assert time.monotonic() - begun < 3 + SOON
        finally:
            docker_engine.resume()
    assert gateway.inspect(running).running


def test_stopped_engine_is_unreachable_at_once_and_found_again(
    gateway: DockerEngine, docker_engine: RealEngine, spec: ContainerSpec
) -> None:
    gateway.ping()
    docker_engine.stop()
    try:
        begun = time.monotonic()
        with pytest.raises(EngineUnreachableError):
            gateway.ping()
        with pytest.raises(EngineUnreachableError):
            gateway.create(spec)
        assert time.monotonic() - begun < SOON
    finally:
        docker_engine.start()
    gateway.ping()
    gateway.create(spec)


def test_sixteen_threads_at_once(gateway: DockerEngine, running: str) -> None:
    def commands(number: int) -> set[bytes]:
        script = ["sh", "-c", f"sleep 0.2; echo {number}"]
        return {gateway.exec(running, script).stdout for _ in range(2)}

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(commands, range(16)))
    assert results == [{f"{number}\n".encode()} for number in range(16)]


def test_first_calls_at_once_share_one_client(docker_engine: RealEngine) -> None:
    gateway = DockerEngine(docker_engine.host, query_timeout=30)
    with without_leaks():
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: gateway.ping(), range(64)))
        gateway.close()


def test_fork_gets_a_connection_of_its_own(gateway: DockerEngine, running: str) -> None:
    assert gateway.exec(running, ["echo", "parent"]).stdout == b"parent\n"
    child = os.fork()
    if child == 0:
        # _exit in every case: a child of pytest must not go on as a second pytest.
        code = 1
        try:
            before = set(_sockets())
            assert gateway.exec(running, ["echo", "child"]).stdout == b"child\n"
            assert set(_sockets()) > before
            code = 0
        finally:
            os._exit(code)
    assert gateway.exec(running, ["echo", "parent"]).stdout == b"parent\n"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert gateway.exec(running, ["echo", "parent"]).stdout == b"parent\n"


def _sockets() -> Iterator[str]:
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:  # the listing's own descriptor
            continue
        if target.startswith("socket:"):
            yield target
