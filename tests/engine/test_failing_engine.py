"""Every operation against an engine that fails in ways a real one does not on demand."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    ImageMissingError,
    ImagePullError,
)
from app.engine import OPERATIONS, ContainerSpec, DockerEngine
from tests.engine.fake_engine import Failure, FakeEngine
from tests.engine.leaks import without_leaks

SPEC = ContainerSpec("env-1", "vibebox-1", "img", {}, [], cpu_limit=1, memory_limit_mb=64)
DEADLINE = 0.1
SOON = 5.0  # seconds; far above the deadline, since the machine may be busy

CALLS: dict[str, Callable[[DockerEngine], object]] = {
    "ping": lambda engine: engine.ping(),
    "list_containers": lambda engine: engine.list_containers(),
    "inspect": lambda engine: engine.inspect("c"),
    "inspect_image": lambda engine: engine.inspect_image("img"),
    "pull": lambda engine: engine.pull("img"),
    "create": lambda engine: engine.create(SPEC),
    "start": lambda engine: engine.start("c"),
    "stop": lambda engine: engine.stop("c", 0),
    "restart": lambda engine: engine.restart("c", 0),
    "kill": lambda engine: engine.kill("c"),
    "pause": lambda engine: engine.pause("c"),
    "unpause": lambda engine: engine.unpause("c"),
    "update": lambda engine: engine.update("c", cpu_limit=1, memory_limit_mb=64),
    "remove": lambda engine: engine.remove("c"),
    "stats": lambda engine: engine.stats("c"),
    "counters": lambda engine: engine.counters("c"),
    "logs": lambda engine: list(engine.logs("c")),
    "events": lambda engine: list(engine.events()),
    "volume_create": lambda engine: engine.volume_create("v", {}),
    "volume_remove": lambda engine: engine.volume_remove("v"),
    "disk_usage": lambda engine: engine.disk_usage(),
    "list_volumes": lambda engine: engine.list_volumes(),
    "exec": lambda engine: engine.exec("c", ["true"]),
    "put_file": lambda engine: engine.put_file("c", "/tmp/x", b"x", (0, 0)),
    "terminal": lambda engine: engine.terminal("c", ["sh"], cols=80, rows=24),
    "limit_processes": lambda engine: engine.limit_processes("c", 64),
    "processes": lambda engine: engine.processes("c"),
    "resize_terminal": lambda engine: engine.resize_terminal("e", cols=80, rows=24),
    "inspect_exec": lambda engine: engine.inspect_exec("e"),
}

each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def _door(host: str, deadline: float = SOON) -> DockerEngine:
    return DockerEngine(
        host,
        query_timeout=deadline,
        lifecycle_timeout=deadline,
        exec_timeout=deadline,
        pull_timeout=deadline,
        walk_timeout=deadline,
        stream_silence=deadline,
    )


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    with without_leaks():
        engine = FakeEngine(tmp_path)
        try:
            yield engine
        finally:
            engine.close()


@pytest.fixture
def gateway(fake: FakeEngine) -> Iterator[DockerEngine]:
    gateway = _door(fake.host)
    yield gateway
    gateway.close()


@pytest.fixture
def met(gateway: DockerEngine) -> DockerEngine:
    """A gateway that has negotiated already."""
    gateway.ping()
    return gateway


@pytest.fixture
def hasty(fake: FakeEngine) -> Iterator[DockerEngine]:
    """A gateway that has negotiated already, and waits for nothing longer than DEADLINE."""
    gateway = _door(fake.host, DEADLINE)
    for attempt in range(50):  # the machine may be busy
        try:
            gateway.ping()
            break
        except EngineTimeoutError:
            assert attempt < 49
    yield gateway
    gateway.close()


def test_walk_through_files_has_a_longer_deadline(fake: FakeEngine) -> None:
    fake.answers["/system/df"] = 200, {"Volumes": [], "Containers": []}
    gateway = DockerEngine(fake.host, query_timeout=SOON, lifecycle_timeout=0)
    assert gateway.disk_usage() == {}
    gateway.close()


def test_every_operation_has_a_call_here() -> None:
    assert set(CALLS) == set(OPERATIONS)


@each_call
@pytest.mark.parametrize(
    "failure", [Failure.HUNG, Failure.HEADERS_ONLY, Failure.TRICKLING], ids=lambda f: f.name
)
def test_deadline_holds_whatever_hangs(
    hasty: DockerEngine, fake: FakeEngine, call: Callable[[DockerEngine], object], failure: Failure
) -> None:
    fake.failure = failure
    begun = time.monotonic()
    # Bytes that trickle into a log are no silence; the first eight are no frame either.
    is_said = failure is Failure.TRICKLING and call is CALLS["logs"]
    with pytest.raises(EngineError if is_said else EngineTimeoutError):
        call(hasty)
    assert time.monotonic() - begun < SOON


@each_call
def test_deadline_holds_before_negotiation(
    fake: FakeEngine, call: Callable[[DockerEngine], object]
) -> None:
    fake.failure = Failure.SLOW_NEGOTIATION
    with pytest.raises(EngineTimeoutError):
        call(_door(fake.host, DEADLINE))


@each_call
@pytest.mark.parametrize(
    "failure", [Failure.FAULT, Failure.FOREIGN_FAULT], ids=lambda failure: failure.name
)
def test_fault_of_the_engine_keeps_its_text_to_itself(
    met: DockerEngine, fake: FakeEngine, call: Callable[[DockerEngine], object], failure: Failure
) -> None:
    fake.failure = failure
    with pytest.raises(EngineError) as caught:
        call(met)
    assert type(caught.value) is EngineError
    assert "secret-driver-text" not in caught.value.detail
    assert caught.value.__cause__ is not None


@each_call
def test_hanging_up_is_a_lost_connection(
    met: DockerEngine, fake: FakeEngine, call: Callable[[DockerEngine], object]
) -> None:
    fake.failure = Failure.HANGING_UP
    with pytest.raises(EngineUnreachableError, match="lost"):
        call(met)


@pytest.mark.parametrize(
    "name",
    ["inspect", "inspect_image", "create", "exec", "list_containers", "list_volumes", "stats",
     "pull", "logs", "events"],
)  # fmt: skip
@pytest.mark.parametrize(
    "failure",
    [Failure.TRUNCATED, Failure.GARBAGE, Failure.OTHER_JSON],
    ids=lambda failure: failure.name,
)
def test_unreadable_answer_is_an_engine_error(
    met: DockerEngine, fake: FakeEngine, name: str, failure: Failure
) -> None:
    fake.failure = failure
    with pytest.raises(EngineError):
        CALLS[name](met)


@pytest.mark.parametrize(
    "failure", [Failure.GARBAGE, Failure.OTHER_JSON, Failure.FAULT], ids=lambda f: f.name
)
def test_ping_wants_the_right_answer(met: DockerEngine, fake: FakeEngine, failure: Failure) -> None:
    fake.failure = failure
    with pytest.raises(EngineError):
        met.ping()


@pytest.mark.parametrize(
    "failure",
    [Failure.GARBAGE, Failure.OTHER_JSON, Failure.TRUNCATED, Failure.FAULT],
    ids=lambda f: f.name,
)
def test_failed_negotiation_is_tried_again(
    gateway: DockerEngine, fake: FakeEngine, failure: Failure
) -> None:
    fake.failure = failure
    with pytest.raises(EngineError):
        gateway.ping()
    fake.failure = Failure.NONE
    gateway.ping()


def test_exec_that_never_speaks_ends_at_its_own_deadline(
    met: DockerEngine, fake: FakeEngine
) -> None:
    fake.failure = Failure.HUNG_EXEC_STREAM
    with pytest.raises(EngineTimeoutError, match="may still be running"):
        met.exec("c", ["sleep", "inf"], timeout=0.1)


def test_garbled_exec_result_is_an_engine_error(met: DockerEngine, fake: FakeEngine) -> None:
    with pytest.raises(EngineError, match="unknown way"):
        met.exec("c", ["true"])


def test_ping_takes_a_deadline_of_its_own(fake: FakeEngine) -> None:
    gateway = _door(fake.host, deadline=60)
    fake.failure = Failure.HUNG
    begun = time.monotonic()
    with pytest.raises(EngineTimeoutError):
        gateway.ping(timeout=0.1)
    assert time.monotonic() - begun < SOON


@each_call
def test_refusing_socket_is_unreachable(
    tmp_path: Path, call: Callable[[DockerEngine], object]
) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))  # never listens
    with without_leaks(), pytest.raises(EngineUnreachableError, match="nothing was changed"):
        call(_door(f"unix://{path}"))


def test_socket_of_another_kind_is_unreachable(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(path))
        with without_leaks(), pytest.raises(EngineUnreachableError, match="nothing was changed"):
            _door(f"unix://{path}").ping()


def test_missing_socket_is_unreachable(tmp_path: Path) -> None:
    with without_leaks(), pytest.raises(EngineUnreachableError):
        _door(f"unix://{tmp_path}/docker.sock").ping()


def test_full_backlog_is_unreachable(tmp_path: Path) -> None:
    path = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as waiting:
        full.bind(path)
        full.listen(0)
        waiting.connect(path)
        with pytest.raises(EngineUnreachableError):
            _door(f"unix://{path}").ping()


def test_tcp_engine_keeps_the_deadline_too(tmp_path: Path) -> None:
    with without_leaks():
        fake = FakeEngine(tmp_path, tcp=True)
        gateway = _door(fake.host)
        try:
            gateway.ping()
            fake.failure = Failure.TRICKLING
            with pytest.raises(EngineTimeoutError):
                gateway.ping(timeout=DEADLINE)
        finally:
            gateway.close()
            fake.close()


def test_tcp_engine_that_refuses_is_unreachable() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with without_leaks(), pytest.raises(EngineUnreachableError):
            _door(f"tcp://127.0.0.1:{port}").ping()


@pytest.mark.parametrize(
    "host",
    ["", "docker.sock", "unix://", "unix://docker.sock", "tcp://host", "tcp://h:x", "ssh://h:22",
     "https://host:2376"],
)  # fmt: skip
def test_unusable_host_is_said_clearly_and_only_when_used(host: str) -> None:
    gateway = DockerEngine(host)
    with pytest.raises(EngineUnreachableError, match="DOCKER_HOST is not an address"):
        gateway.ping()


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [("1.41", "1.12", "1.41"), ("1.43", "1.24", "1.43"), ("1.52", "1.44", "1.44"),
     ("1.60", "1.50", "1.50")],
    ids=["engine-20", "engine-24", "engine-29", "engine-of-the-future"],
)  # fmt: skip
def test_version_is_one_that_both_sides_speak(
    gateway: DockerEngine, fake: FakeEngine, newest: str, oldest: str, spoken: str
) -> None:
    fake.newest_version, fake.oldest_version = newest, oldest
    gateway.ping()
    assert fake.asked == ["/version", f"/v{spoken}/_ping"]


def test_too_old_engine_is_refused(gateway: DockerEngine, fake: FakeEngine) -> None:
    fake.newest_version = "1.40"
    with pytest.raises(EngineError, match=r"20\.10"):
        gateway.ping()


def test_version_is_negotiated_again_after_the_engine_was_replaced(
    met: DockerEngine, fake: FakeEngine
) -> None:
    fake.newest_version, fake.oldest_version = "1.52", "1.44"
    with pytest.raises(EngineError):
        met.inspect_image("img")
    assert met.inspect_image("img")


@pytest.mark.parametrize("name", ["", "../info", "a/b", "a?b", "a b", ".."])
def test_name_that_would_change_the_path_is_never_sent(
    met: DockerEngine, fake: FakeEngine, name: str
) -> None:
    asked = len(fake.asked)
    with pytest.raises(ContainerNotFoundError):
        met.inspect(name)
    with pytest.raises(ContainerNotFoundError):
        met.exec(name, ["true"])
    with pytest.raises(ContainerNotFoundError):
        met.logs(name)
    met.remove(name)
    met.volume_remove(name)
    assert len(fake.asked) == asked


@pytest.mark.parametrize("image", ["", "../containers/x", "a/../b", "a?b", "a//b", "-x", "a b"])
def test_image_that_would_change_the_path_is_missing(
    met: DockerEngine, fake: FakeEngine, image: str
) -> None:
    asked = len(fake.asked)
    with pytest.raises(ImageMissingError):
        met.inspect_image(image)
    with pytest.raises(ImagePullError):
        met.pull(image)
    assert len(fake.asked) == asked


@pytest.mark.parametrize("image", ["a", "a:1", "host:5000/a/b_c:1.2-x", "a@sha256:0123", "a.b/c"])
def test_image_reference_is_accepted(met: DockerEngine, image: str) -> None:
    assert met.inspect_image(image)


def test_remove_waits_for_a_removal_under_way(fake: FakeEngine) -> None:
    gateway = _door(fake.host)
    fake.answers["/containers/c"] = (
        409,
        {"message": "removal of container c is already in progress"},
    )
    fake.answers["/containers/gone"] = 404, {"message": "No such container: gone"}
    with pytest.raises(EngineTimeoutError):
        _door(fake.host, deadline=0.3).remove("c")
    assert fake.asked.count("/v1.41/containers/c") > 1
    gateway.remove("gone")
    gateway.close()


def test_remove_passes_other_conflicts_on(met: DockerEngine, fake: FakeEngine) -> None:
    fake.answers["/containers/c"] = 409, {"message": "something else"}
    with pytest.raises(EngineConflictError):
        met.remove("c")


def test_construction_does_no_io(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    DockerEngine(f"unix://{tmp_path}/docker.sock")
    assert os.listdir("/proc/self/fd") == before
