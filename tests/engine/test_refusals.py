"""What a user provokes at a real engine is the user's mistake; what the engine fails at is not."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import docker.errors
import pytest

from app.core.errors import (
    EngineConflictError,
    EngineError,
    EngineFullError,
    ImageMissingError,
    LimitsRefusedError,
    PortTakenError,
    SpecificationRefusedError,
)
from app.engine import ContainerSpec, DockerEngine, PortBinding, VolumeMount
from app.engine.refusals import failure, users_mistake
from tests.engine.crafted import Entry, directory, file, link, load

pytestmark = pytest.mark.integration


@pytest.fixture
def images(raw: Any) -> Iterator[list[str]]:
    """Tags of images to remove."""
    made: list[str] = []
    yield made
    for tag in made:
        with suppress(docker.errors.APIError):
            raw.remove_image(tag, force=True)


def launch(gateway: DockerEngine, spec: ContainerSpec) -> None:
    gateway.start(gateway.create(spec))


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/proc",
            "/proc/sys",
            "/proc/1/x",
            "/sys/x",
            "/sys/kernel/x",
            "/dev",
            "/dev/null",
            "/dev/ptmx",
        ),
        *("/dev/mqueue/x", "/dev/pts/x", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"),
        *("/etc/passwd", "/etc/passwd/x", "/etc/hosts/x", "/bin/sh", "/.dockerenv"),
        *("/no space left on device", "/etc/passwd/no space left on device"),
    ],
)
def test_volume_path_is_usable_or_refused(
    gateway: DockerEngine, spec: ContainerSpec, path: str
) -> None:
    try:
        launch(gateway, replace(spec, volume=VolumeMount(f"{spec.name}-volume", path)))
    except SpecificationRefusedError as error:
        assert "volume_path" in error.detail


def test_volume_path_below_a_link_of_the_image(
    gateway: DockerEngine, spec: ContainerSpec, raw: Any, images: list[str]
) -> None:
    entries = [link("up", "/proc"), link("loop", "loop"), link("sysl", "/sys"), link("o", "../..")]
    images.append(
        load(raw, {}, *entries, link("no space left on device", "/no space left on device"))
    )
    for number, path in enumerate(
        ("/up", "/up/x", "/loop", "/loop/x", "/sysl/x", "/o/x", "/no space left on device")
    ):
        volume = VolumeMount(f"{spec.name}-volume", path)
        wanted = replace(spec, name=f"{spec.name}-{number}", image=images[0], volume=volume)
        with suppress(SpecificationRefusedError):
            launch(gateway, wanted)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"cpu_limit": (os.cpu_count() or 1) + 1}, LimitsRefusedError),
        ({"cpu_limit": 256}, LimitsRefusedError),
    ],
    ids=str,
)
def test_limits_that_do_not_fit(
    gateway: DockerEngine,
    spec: ContainerSpec,
    running: str,
    limits: dict[str, Any],
    expected: type[EngineError],
) -> None:
    with pytest.raises(expected):
        launch(gateway, replace(spec, name=f"{spec.name}-2", **limits))
    with pytest.raises(expected):
        gateway.update(running, **{"cpu_limit": 0.5, "memory_limit_mb": 64, **limits})


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_port_that_something_else_on_the_host_uses(
    gateway: DockerEngine, spec: ContainerSpec, protocol: str
) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with closing(socket.socket(socket.AF_INET, kind)) as other:
        other.bind(("127.0.0.1", 0))
        if protocol == "tcp":
            other.listen()
        with pytest.raises(PortTakenError):
            launch(
                gateway, replace(spec, ports=[PortBinding(80, other.getsockname()[1], protocol)])
            )


@pytest.mark.parametrize(
    "image",
    [
        *("Busy", "a//b", "a:b:c", "a@sha256:12", "a/..b", "a_", "xx/y@z", "a..b", "a:.x", "a.-b"),
        *(f"a:{'t' * 200}", "localhost:70000/x", f"sha256:{'0' * 64}", "0" * 64, "a--b"),
    ],
)
def test_image_names_that_name_none(gateway: DockerEngine, spec: ContainerSpec, image: str) -> None:
    with pytest.raises(ImageMissingError):
        gateway.create(replace(spec, image=image))


_CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "no command": {"Cmd": None},
    "empty entrypoint": {"Entrypoint": [""], "Cmd": None},
    "user": {"User": "nobody"},
    "user with a path": {"User": "../../x"},
    "group": {"User": "0:x"},
    "user beyond numbers": {"User": "99999999999"},
    "working directory is a file": {"WorkingDir": "/etc/passwd"},
    "working directory below a file": {"WorkingDir": "/etc/passwd/x"},
    "working directory in proc": {"WorkingDir": "/proc/x"},
    "working directory in sys": {"WorkingDir": "/sys/x"},
    "working directory in mqueue": {"WorkingDir": "/dev/mqueue/x"},
    "relative working directory": {"WorkingDir": "a/b"},
    "long working directory": {"WorkingDir": f"/{'d' * 300}"},
    "deep working directory": {"WorkingDir": "/e" * 2500},
    "NUL in the working directory": {"WorkingDir": "/a\x00"},
    "volume over a file": {"Volumes": {"/etc/passwd": {}}},
    "volume over Docker's file": {"Volumes": {"/etc/hosts": {}}},
    "volume over proc": {"Volumes": {"/proc": {}}},
    "volume over everything": {"Volumes": {"/": {}}},
    "volume with a long name": {"Volumes": {f"/{'c' * 300}": {}}},
    "NUL in a volume": {"Volumes": {"/a\x00b": {}}},
    "variable without a name": {"Env": ["=x"]},
    "NUL in a variable": {"Env": ["A=a\x00b"]},
}
_FILES: dict[str, list[Entry]] = {
    "workspace is a file": [file("workspace")],
    "workspace links to itself": [link("workspace", "workspace")],
    "etc/hosts is a directory": [directory("etc/hosts")],
    "etc/hostname is a directory": [directory("etc/hostname")],
    "etc/passwd is a directory": [directory("etc/passwd")],
    "etc/group is a directory": [directory("etc/group")],
    "sbin is a file": [file("sbin")],
    "sbin links to itself": [link("sbin", "sbin")],
    "docker-init is a directory": [directory("sbin/docker-init")],
}
CRAFTED: dict[str, tuple[dict[str, Any], list[Entry]]] = {
    **{name: (config, []) for name, config in _CONFIGURATIONS.items()},
    **{name: ({"User": "root"}, entries) for name, entries in _FILES.items()},
    "passwd without ends": ({"User": "x"}, [file("etc/passwd", b"x" * 200_000)]),
    "what is no program": ({"Entrypoint": ["/x"]}, [file("x", b"\x7fELF", 0o755)]),
    "another architecture's program": ({"Entrypoint": ["/x"]}, [file("x", b"\x7fELF" * 40, 0o755)]),
}


@pytest.mark.parametrize(("config", "entries"), CRAFTED.values(), ids=CRAFTED)
def test_image_that_can_not_be_started_is_nobodys_failure(
    gateway: DockerEngine,
    spec: ContainerSpec,
    raw: Any,
    images: list[str],
    config: dict[str, Any],
    entries: list[Entry],
) -> None:
    """It is refused, or it starts and ends by itself: never a failure of the engine."""
    images.append(load(raw, config, *entries))
    volume = VolumeMount(f"{spec.name}-volume", "/workspace")
    with suppress(SpecificationRefusedError):
        launch(gateway, replace(spec, image=images[0], volume=volume))


def test_files_that_can_not_be_put_are_the_containers_matter(
    gateway: DockerEngine, running: str
) -> None:
    for path in ("/nowhere/x", "/etc/passwd/x", "/proc/nothing/x"):
        with pytest.raises(EngineConflictError):
            gateway.put_file(running, path, b"x", (0, 0))


_INIT = (
    "failed to create shim task: oci runtime create failed: runc create failed: "
    "unable to start container process: error during container init: "
)
HIDDEN_DEVICES = (
    "failed to create shim task: oci runtime create failed: runc create failed: unable to start "
    "container process: unable to setup user: stat /dev/null: no such file or directory: unknown",
    _INIT + "error reopening /dev/null inside container: open /dev/null: is a directory: unknown",
    _INIT + "error setting up ptmx: remove /var/lib/docker/overlay2/x/merged/dev/ptmx: device or "
    "resource busy: unknown",
)


@pytest.mark.parametrize("message", HIDDEN_DEVICES)
def test_volume_that_hides_devices_is_not_the_image(message: str) -> None:
    found = users_mistake(message)
    assert isinstance(found, SpecificationRefusedError) and "volume_path" in found.detail


LIMITS = (
    "minimum memory limit allowed is 6mb",
    _INIT + 'error setting cgroup config for prochooks process: failed to write "100": write '
    "/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us: invalid argument: unknown",
    "oci runtime create failed: container init was oom-killed (memory limit too low?): unknown",
)


@pytest.mark.parametrize("message", LIMITS)
def test_limits_that_our_own_bounds_keep_out(message: str) -> None:
    assert type(users_mistake(message)) is LimitsRefusedError


FAILURES = {
    "disk full": "open /var/lib/docker/tmp/x: no space left on device",
    "disk full at a volume": _INIT
    + 'error mounting "/var/lib/docker/volumes/v/_data" to rootfs at '
    '"/workspace": mkdirat /m/workspace: no space left on device: unknown',
    "volume's data are gone": _INIT + 'error mounting "/var/lib/docker/volumes/v/_data" to rootfs '
    'at "/workspace": stat /var/lib/docker/volumes/v/_data: no such file or directory: unknown',
    "no mount of proc": _INIT + 'error mounting "proc" to rootfs at "/proc": mount proc:/proc: '
    "operation not permitted: unknown",
    "cgroup": _INIT + "error setting cgroup config for prochooks process: open /sys/fs/cgroup/x: "
    "no such file or directory: unknown",
    "runtime is gone": "failed to create shim task: oci runtime create failed: unable to retrieve "
    'oci runtime error (open /run/log.json: no such file or directory): exec: "runc": executable '
    "file not found in $path: unknown",
    "out of memory": _INIT + "cannot allocate memory: unknown",
    "network": "failed to create endpoint x on network bridge: adding interface veth1 to bridge "
    "docker0 failed: exchange full",
    "descriptors": "pipe2: too many open files",
    "read-only": "mkdir /var/lib/docker/overlay2/x: read-only file system",
    "anything else": "layer does not exist",
}


@pytest.mark.parametrize("message", FAILURES.values(), ids=FAILURES)
def test_failure_of_the_engine_stays_one(message: str) -> None:
    assert users_mistake(message) is None
    assert (type(failure(message)) is EngineFullError) == ("no space left" in message)


def test_words_of_a_user_are_no_full_disk() -> None:
    named = 'oci runtime create failed: exec: "no space left on device": file not found'
    assert type(failure(named)) is EngineError
