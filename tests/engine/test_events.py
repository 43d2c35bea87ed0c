"""Events of a real Docker Engine.

Learnt from 20.10: a process that the kernel kills for memory gives `oom` before the `die` of its
container, if that dies at all. With docker-init as first process the container may go on, or end
with any exit code; `OOMKilled` says true in each case, for a running container only once it has
ended, and stays true through its next run. So only an `oom` shortly before a `die` with 137 tells
that memory ended a container.
"""

import time
from dataclasses import replace
from typing import Any

import pytest

from app.engine import ContainerEvent, ContainerSpec, DockerEngine
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.engine.conftest import Launch
from tests.engine.following import following

pytestmark = pytest.mark.integration


def _actions(events: list[ContainerEvent]) -> list[str]:
    return [event.action for event in events]


def test_a_life_is_told_in_order(gateway: DockerEngine, spec: ContainerSpec) -> None:
    with following(gateway.events()) as follower:
        container = gateway.create(replace(spec, instance="here"))
        gateway.start(container)
        gateway.pause(container)
        gateway.unpause(container)
        gateway.update(container, cpu_limit=1, memory_limit_mb=128)
        gateway.kill(container)
        follower.wait_for(lambda events: "die" in _actions(events))
        gateway.remove(container)
        events = follower.wait_for(lambda events: "destroy" in _actions(events))
    assert _actions(events) == [
        "create", "start", "pause", "unpause", "update", "kill", "die", "destroy",
    ]  # fmt: skip
    assert {event.container for event in events} == {container}
    assert {event.environment_id for event in events} == {spec.environment_id}
    assert {event.instance for event in events} == {"here"}
    assert [event.exit_code for event in events if event.exit_code is not None] == [137]
    times = [event.at_ns for event in events]
    assert times == sorted(times)
    assert abs(times[-1] / 1e9 - time.time()) < 60


def test_exit_code_is_that_of_the_container(gateway: DockerEngine, launch: Launch) -> None:
    with following(gateway.events()) as follower:
        launch("exit 7")
        events = follower.wait_for(lambda events: "die" in _actions(events))
    assert events[-1].exit_code == 7


def test_command_lines_stay_outside(gateway: DockerEngine, running: str) -> None:
    with following(gateway.events()) as follower:
        assert gateway.exec(running, ["sh", "-c", ": password; exit 3"]).exit_code == 3
        events = follower.wait_for(lambda events: "exec_die" in _actions(events))
    assert _actions(events) == ["exec_create", "exec_start", "exec_die"]
    assert {event.exit_code for event in events} == {None}
    assert "password" not in repr(events)


def test_foreign_containers_are_not_told(
    gateway: DockerEngine, spec: ContainerSpec, docker_engine: RealEngine, raw: Any
) -> None:
    with following(gateway.events()) as follower:
        foreign = raw.create_container(docker_engine.busybox)["Id"]
        raw.remove_container(foreign)
        mine = gateway.create(spec)
        events = follower.wait_for(len)
    assert [event.container for event in events] == [mine]


OOM = {
    "first process": ("exec tail /dev/zero", 137),
    "child that decides the exit code": ("tail /dev/zero", 137),
    "child that its parent survives": ("tail /dev/zero; exit 0", 0),
}


@pytest.mark.parametrize(("script", "exit_code"), OOM.values(), ids=OOM)
def test_memory_kill_is_told_before_the_death(
    gateway: DockerEngine, launch: Launch, script: str, exit_code: int
) -> None:
    with following(gateway.events()) as follower:
        container = launch(script, memory_limit_mb=16)
        events = follower.wait_for(lambda events: "die" in _actions(events))
    assert _actions(events) == ["create", "start", "oom", "die"]
    assert events[-1].exit_code == exit_code
    assert gateway.inspect(container).oom_killed


def test_memory_kill_of_a_command_ends_no_container(
    gateway: DockerEngine, spec: ContainerSpec
) -> None:
    container = gateway.create(replace(spec, memory_limit_mb=16))
    gateway.start(container)
    with following(gateway.events()) as follower:
        assert gateway.exec(container, ["tail", "/dev/zero"]).exit_code == 137
        follower.wait_for(lambda events: "oom" in _actions(events))
        state = gateway.inspect(container)
        assert state.running and not state.oom_killed
        gateway.stop(container, grace=5)
        events = follower.wait_for(lambda events: "stop" in _actions(events))
    assert gateway.inspect(container).oom_killed
    (death,) = [event for event in events if event.action == "die"]
    assert death.exit_code == 143


def test_past_is_told_from_an_instant_on(gateway: DockerEngine, spec: ContainerSpec) -> None:
    with following(gateway.events()) as follower:
        container = gateway.create(spec)
        gateway.start(container)
        gateway.pause(container)
        told = follower.wait_for(lambda events: "pause" in _actions(events))
    with following(gateway.events(since_ns=told[1].at_ns)) as follower:
        gateway.unpause(container)
        again = follower.wait_for(lambda events: "unpause" in _actions(events))
    assert again[:2] == told[1:]
    assert _actions(again) == ["start", "pause", "unpause"]


def test_nothing_is_lost_after_establishment(gateway: DockerEngine, spec: ContainerSpec) -> None:
    for number in range(20):
        with following(gateway.events()) as follower:
            created = gateway.create(replace(spec, name=f"{spec.name}-{number}"))
            follower.wait_for(lambda events: _actions(events)[-1:] == ["create"])
            assert follower.values[-1].container == created
