"""Pulls by a real Docker Engine from a real registry."""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.errors import ImageMissingError, ImagePullError, PullCutError
from app.engine import Cut, DockerEngine, PullProgress
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.backends.dripping_registry import DrippingRegistry
from tests.backends.programs import free_port, wait_until
from tests.backends.registry import Registry
from tests.engine.leaks import without_leaks
from tests.sizes import size

pytestmark = pytest.mark.integration

SIZE = size(8_000_000, 20_000_000)


@pytest.fixture
def image(registry: Registry, docker_engine: RealEngine, raw: Any) -> Iterator[str]:
    """An image of the registry, with a big layer that the engine does not hold."""
    big = raw.create_container(
        docker_engine.busybox, ["sh", "-c", f"head -c {SIZE} /dev/urandom > /big"]
    )["Id"]
    raw.start(big)
    assert raw.wait(big)["StatusCode"] == 0
    name = uuid.uuid4().hex
    raw.commit(big, name, "1")
    raw.remove_container(big)
    pulled = registry.push(raw, f"{name}:1", name, "latest")
    raw.remove_image(f"{name}:1")
    yield pulled
    if raw.images(pulled):
        raw.remove_image(pulled, force=True)


def test_progress_rises_to_the_whole(gateway: DockerEngine, image: str) -> None:
    steps: list[PullProgress] = []
    gateway.pull(image, steps.append)
    assert gateway.inspect_image(image)
    done = [step.bytes_done for step in steps]
    assert done == sorted(done)
    assert any(0 < step.bytes_done < step.bytes_total for step in steps)
    last = steps[-1]
    assert last.bytes_done == last.bytes_total > SIZE
    assert {layer.status for layer in last.layers} == {"Pull complete", "Already exists"}
    assert sum(layer.total for layer in last.layers) == last.bytes_total


def test_without_a_tag_it_is_the_latest(gateway: DockerEngine, image: str) -> None:
    gateway.pull(image.removesuffix(":latest"))
    assert gateway.inspect_image(image)


def test_digest_is_pulled(gateway: DockerEngine, image: str, raw: Any) -> None:
    gateway.pull(image)
    (digest,) = raw.inspect_image(image)["RepoDigests"]
    raw.remove_image(image, force=True)
    gateway.pull(digest)
    assert gateway.inspect_image(digest)
    raw.remove_image(digest, force=True)


def test_image_that_is_there_is_pulled_again(gateway: DockerEngine, image: str) -> None:
    gateway.pull(image)
    gateway.pull(image)


def test_unknown_image_or_tag_is_said_clearly(
    gateway: DockerEngine, image: str, registry: Registry
) -> None:
    unknown = image.replace(":latest", ":nosuch")
    for name in (unknown, f"{registry.address}/nosuch:1", f"{registry.address}/UPPER:1"):
        with pytest.raises(ImagePullError, match=name) as caught:
            gateway.pull(name)
        assert "manifest" not in caught.value.detail
    with pytest.raises(ImageMissingError):
        gateway.inspect_image(unknown)


def test_absent_registry_is_the_matter_of_who_names_it(gateway: DockerEngine) -> None:
    name = f"127.0.0.1:{free_port()}/nosuch:1"
    with pytest.raises(ImagePullError, match="does not answer") as caught:
        gateway.pull(name)
    assert name in caught.value.detail


def test_suspended_registry_holds_nobody_past_the_deadline(
    docker_engine: RealEngine, registry: Registry, image: str
) -> None:
    gateway = DockerEngine(docker_engine.host, query_timeout=30, pull_timeout=0.5)
    gateway.ping()
    registry.suspend()
    with without_leaks():
        begun = time.monotonic()
        with pytest.raises(ImagePullError, match="does not answer"):
            gateway.pull(image)
        assert time.monotonic() - begun < 10
    gateway.close()


def test_what_progress_raises_ends_the_pull(gateway: DockerEngine, image: str) -> None:
    def refuse(progress: PullProgress) -> None:
        raise OSError("a disk of the caller's")

    gateway.ping()
    with without_leaks(), pytest.raises(OSError, match="of the caller's"):
        gateway.pull(image, refuse)
    gateway.pull(image)


@pytest.mark.parametrize("moment", ["before", "while it asks", "while it drips"])
def test_pull_is_cut_at_once(
    gateway: DockerEngine, registry: Registry, image: str, moment: str
) -> None:
    """Nothing is heard of a layer that drips, so that whoever waits for progress waits for long."""
    cut = Cut()
    gateway.ping()
    with DrippingRegistry() as slow, without_leaks():
        if moment == "while it asks":
            registry.suspend()
        wanted = image if moment == "while it asks" else slow.image
        if moment == "before":
            cut.cut()
        ended = threading.Event()

        def pull() -> None:
            with pytest.raises(PullCutError):
                gateway.pull(wanted, None, cut)
            ended.set()

        thread = threading.Thread(target=pull)
        thread.start()
        if moment == "while it drips":
            wait_until(lambda: slow.open == 3, 10)
        else:
            time.sleep(0.5)
        cut.cut()
        assert ended.wait(2)
        thread.join()
        registry.heal()
        wait_until(lambda: slow.open == 0, 2)


def test_dripping_image_keeps_others_waiting_until_it_is_cut(
    gateway: DockerEngine, image: str
) -> None:
    """What `app.agent.pulls.turns` is there for: Docker downloads three layers at once."""
    cut, ended = Cut(), threading.Event()

    def drip(registry: DrippingRegistry) -> None:
        with pytest.raises(PullCutError):
            gateway.pull(registry.image, None, cut)

    def pull() -> None:
        gateway.pull(image)
        ended.set()

    with DrippingRegistry() as slow:
        threads = [threading.Thread(target=drip, args=(slow,)), threading.Thread(target=pull)]
        threads[0].start()
        wait_until(lambda: slow.open == 3, 10)
        threads[1].start()
        assert not ended.wait(3)
        cut.cut()
        assert ended.wait(10)
        for thread in threads:
            thread.join()
