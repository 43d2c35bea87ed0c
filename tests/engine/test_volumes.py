"""Named volumes in a real Docker Engine."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.core.errors import EngineConflictError, EngineError
from app.engine import ENVIRONMENT_LABEL, INSTANCE_LABEL, ContainerSpec, DockerEngine, VolumeMount
from app.engine.volumes import disk_uses
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.engine.images import commit, until_ended

pytestmark = pytest.mark.integration


@pytest.fixture
def volume(gateway: DockerEngine) -> Iterator[str]:
    """A name; the volume is removed at the end, if there is one and nobody uses it."""
    name = f"vibebox-{uuid.uuid4().hex}"
    yield name
    gateway.volume_remove(name)


@pytest.fixture
def mounted(spec: ContainerSpec, volume: str) -> ContainerSpec:
    return replace(spec, volume=VolumeMount(volume, "/workspace"), instance="here")


def test_volume_outlives_its_container(
    gateway: DockerEngine, volume: str, mounted: ContainerSpec
) -> None:
    for command, output in ((["touch", "/workspace/kept"], b""), (["ls", "/workspace"], b"kept\n")):
        container = gateway.create(mounted)
        gateway.start(container)
        result = gateway.exec(container, command)
        assert (result.exit_code, result.stdout) == (0, output)
        gateway.remove(container)
    assert volume in [found.name for found in gateway.list_volumes()]


def test_only_a_volume_is_mounted(
    gateway: DockerEngine, volume: str, mounted: ContainerSpec, raw: Any
) -> None:
    container = gateway.create(mounted)
    details = raw.inspect_container(container)
    (mount,) = details["Mounts"]
    assert (mount["Type"], mount["Name"], mount["Destination"]) == ("volume", volume, "/workspace")
    assert mount["RW"] and not details["HostConfig"]["Binds"]
    gateway.remove(container)


@pytest.mark.parametrize("name", ["/etc", "../etc", ""])
def test_path_of_the_host_is_never_mounted(
    gateway: DockerEngine, spec: ContainerSpec, name: str, raw: Any
) -> None:
    try:
        container = gateway.create(replace(spec, volume=VolumeMount(name, "/host")))
    except EngineError:
        return
    mounts = raw.inspect_container(container)["Mounts"]
    assert [mount["Type"] for mount in mounts] == ["volume"]  # an anonymous one


def test_volume_that_docker_makes_is_ours_too(
    gateway: DockerEngine, volume: str, mounted: ContainerSpec
) -> None:
    container = gateway.create(mounted)
    assert (volume, mounted.environment_id, "here") in gateway.list_volumes()
    gateway.remove(container)


def test_volume_in_use_stays(gateway: DockerEngine, volume: str, mounted: ContainerSpec) -> None:
    container = gateway.create(mounted)
    with pytest.raises(EngineConflictError):
        gateway.volume_remove(volume)
    gateway.remove(container)
    gateway.volume_remove(volume)
    gateway.volume_remove(volume)
    assert volume not in [found.name for found in gateway.list_volumes()]


def test_list_has_the_volumes_of_environments(gateway: DockerEngine, volume: str, raw: Any) -> None:
    foreign = raw.create_volume()["Name"]
    gateway.volume_create(volume, {ENVIRONMENT_LABEL: "e", INSTANCE_LABEL: "here"})
    gateway.volume_create(volume, {ENVIRONMENT_LABEL: "another"})  # stays as it is
    listed = {found.name: found for found in gateway.list_volumes()}
    raw.remove_volume(foreign)
    assert listed[volume] == (volume, "e", "here")
    assert foreign not in listed


def test_what_is_held_on_disk_is_told(
    gateway: DockerEngine, volume: str, mounted: ContainerSpec, docker_engine: RealEngine, raw: Any
) -> None:
    foreign = raw.create_volume()["Name"]
    script = "head -c 5000000 /dev/zero > /workspace/in; head -c 3000000 /dev/zero > /beside"
    gateway.volume_create(volume, {ENVIRONMENT_LABEL: mounted.environment_id})
    container = gateway.create(replace(mounted, image=commit(raw, docker_engine, script)))
    assert gateway.disk_usage()[mounted.environment_id] == (0, 0)
    gateway.start(container)
    until_ended(gateway, container)
    found = gateway.disk_usage()
    gateway.remove(container)
    raw.remove_volume(foreign)
    assert found[mounted.environment_id] == (5_000_000, 3_000_000)


def test_size_that_is_not_told_is_none() -> None:
    labels = {ENVIRONMENT_LABEL: "e"}
    told, untold = ({"Labels": labels, "UsageData": {"Size": size}} for size in (7, -1))
    layer, unread = {"Labels": labels, "SizeRw": 5}, {"Labels": labels, "SizeRw": -1}
    for volumes, containers, expected in (
        ([told, {"Labels": None}], [layer], (7, 5)),
        ([told, untold], [layer], None),
        ([untold, told], None, None),
        ([{"Labels": labels}], None, None),
        ([told], [unread], None),
        (None, [{"Labels": labels}], (0, 0)),  # nothing is left out of an answer
    ):
        assert disk_uses({"Volumes": volumes, "Containers": containers}) == {"e": expected}


def test_anonymous_volumes_go_with_the_container(
    gateway: DockerEngine, spec: ContainerSpec, docker_engine: RealEngine, raw: Any
) -> None:
    tag = commit(raw, docker_engine, "sleep 60", {"Volumes": {"/anonymous": {}}})
    before = _names(raw)
    container = gateway.create(replace(spec, image=tag))
    assert len(_names(raw) - before) == 1
    gateway.remove(container)
    assert _names(raw) == before
    raw.remove_image(tag, force=True)


def _names(raw: Any) -> set[str]:
    return {volume["Name"] for volume in raw.volumes()["Volumes"] or []}
