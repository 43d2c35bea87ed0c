"""Containers that do what a test needs as their first process."""

import time
import uuid
from typing import Any

from app.engine import ContainerState, DockerEngine
from tests.backends.docker_engine import DockerEngine as RealEngine


def commit(
    raw: Any, docker_engine: RealEngine, script: str, settings: dict[str, Any] | None = None
) -> str:
    """Make an image whose command is `script`, with further settings, and return its tag."""
    repository = f"vibebox-test-{uuid.uuid4().hex}"
    source = raw.create_container(docker_engine.busybox)["Id"]
    try:
        raw.commit(source, repository, "1", conf={"Cmd": ["sh", "-c", script], **(settings or {})})
    finally:
        raw.remove_container(source)
    return f"{repository}:1"


def until_ended(gateway: DockerEngine, container: str) -> ContainerState:
    """Return the state of a container that ends of its own accord, once it has."""
    ends_at = time.monotonic() + 30
    while (state := gateway.inspect(container)).running:
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    return state
