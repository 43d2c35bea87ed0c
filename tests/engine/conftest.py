"""A gateway to the real Docker Engine, and a container behind it."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import pytest

from app.engine import ENVIRONMENT_LABEL, ContainerSpec, DockerEngine
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.engine.images import commit


@pytest.fixture
def gateway(docker_engine: RealEngine) -> Iterator[DockerEngine]:
    gateway = DockerEngine(docker_engine.host, query_timeout=30)
    yield gateway
    gateway.close()


@pytest.fixture
def raw(docker_engine: RealEngine) -> Iterator[Any]:
    with docker_engine.client() as client:
        yield client  # as Any: the stubs leave half of what is read here untyped


@pytest.fixture
def spec(docker_engine: RealEngine, raw: Any) -> Iterator[ContainerSpec]:
    """A container to make; whatever carries its environment's label is removed at the end."""
    environment = uuid.uuid4().hex
    yield ContainerSpec(
        environment_id=environment,
        name=f"vibebox-{environment}",
        image=docker_engine.busybox,
        env={"GREETING": "hello = world"},
        ports=[],
        cpu_limit=0.5,
        memory_limit_mb=64,
    )
    labels = {"label": f"{ENVIRONMENT_LABEL}={environment}"}
    for left in raw.containers(all=True, filters=labels):
        raw.remove_container(left["Id"], v=True, force=True)


@pytest.fixture
def running(gateway: DockerEngine, spec: ContainerSpec) -> str:
    container = gateway.create(spec)
    gateway.start(container)
    return container


class Launch(Protocol):
    """Makes and starts a container whose first process runs `script`."""

    def __call__(self, script: str, **changes: Any) -> str: ...


@pytest.fixture
def launch(
    gateway: DockerEngine, spec: ContainerSpec, docker_engine: RealEngine, raw: Any
) -> Iterator[Launch]:
    """A factory of containers; `changes` are to the spec. They and their images go at the end."""
    containers, tags = [], []

    def make(script: str, **changes: Any) -> str:
        tags.append(commit(raw, docker_engine, script))
        name = f"{spec.name}-{len(tags)}"
        containers.append(
            gateway.create(replace(spec, **{"image": tags[-1], "name": name, **changes}))
        )
        gateway.start(containers[-1])
        return containers[-1]

    yield make
    docker_engine.heal()
    for container in containers:
        gateway.remove(container)
    for tag in tags:
        raw.remove_image(tag, force=True)
