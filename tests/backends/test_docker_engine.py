"""The throw-away Docker Engine."""

import socket

import docker
import docker.errors
import pytest
import requests

from tests.backends.docker_engine import DockerEngine

pytestmark = pytest.mark.integration


@pytest.fixture
def client(docker_engine: DockerEngine) -> docker.APIClient:
    """A client of an engine that is empty but for the image."""
    docker_engine.clear()
    return docker_engine.client()


def test_busybox_runs_and_publishes_a_port(
    docker_engine: DockerEngine, client: docker.APIClient
) -> None:
    command = ["sh", "-c", "echo hello > /tmp/index.html; httpd -f -p 80 -h /tmp"]
    ports = client.create_host_config(port_bindings={80: None})
    container = client.create_container(
        docker_engine.busybox, command, ports=[80], host_config=ports
    )
    client.start(container)
    published = client.port(container["Id"], 80)[0]
    address = f"http://{published['HostIp']}:{published['HostPort']}/"
    assert published["HostIp"] == "127.0.0.1"
    assert requests.get(address, timeout=5).text == "hello\n"
    client.remove_container(container, force=True)


def test_suspended_engine_accepts_and_never_answers(
    docker_engine: DockerEngine, client: docker.APIClient
) -> None:
    client.timeout = 1
    docker_engine.suspend()
    with pytest.raises(requests.ReadTimeout):
        client.ping()
    docker_engine.resume()
    assert client.ping()


def test_stopped_engine_refuses_and_keeps_its_images(
    docker_engine: DockerEngine, client: docker.APIClient
) -> None:
    docker_engine.stop()
    with socket.socket(socket.AF_UNIX) as connection, pytest.raises(FileNotFoundError):
        connection.connect(docker_engine.socket_path)
    docker_engine.start()
    # Other tests of this run may have brought images of theirs.
    tags = [tag for image in client.images() for tag in image["RepoTags"] or ()]
    assert docker_engine.busybox in tags


def test_killed_engine_is_healed(docker_engine: DockerEngine, client: docker.APIClient) -> None:
    # Not started: with a running container Docker takes 10 s to recover.
    container = client.create_container(docker_engine.busybox, ["sleep", "600"])
    docker_engine.kill()
    docker_engine.heal()
    client = docker_engine.client()
    assert client.inspect_container(container)["State"]["Status"] == "created"
    client.remove_container(container)
