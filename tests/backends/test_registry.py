"""The real registry, with the real engine."""

import pytest
import requests

from tests.backends import http
from tests.backends.docker_engine import DockerEngine
from tests.backends.registry import Registry

pytestmark = pytest.mark.integration


def test_pushed_image_can_be_pulled(registry: Registry, docker_engine: DockerEngine) -> None:
    client = docker_engine.client()
    image = registry.push(client, docker_engine.busybox, "pushed", "1")
    assert client.images(image) == []
    client.pull(image)
    assert client.images(image)[0]["Id"] == client.images(docker_engine.busybox)[0]["Id"]
    client.remove_image(image)


def test_suspended_registry_accepts_and_is_silent(registry: Registry) -> None:
    registry.suspend()
    with pytest.raises(requests.ReadTimeout):
        http.get(f"http://{registry.address}/v2/", timeout=0.3)
    registry.heal()
    assert http.answers(f"http://{registry.address}/v2/")
