"""A throw-away registry of images, on a free port of this host.

Docker Engine speaks plain HTTP with registries on 127.0.0.0/8, so it needs no certificate.
"""

import json
import shutil

import docker

from tests.backends import http
from tests.backends.programs import Program, ServiceError, free_port
from tests.backends.scratch import new_directory, remove_directory

READY_TIMEOUT = 30.0


class Registry:
    """A registry with its own storage, at `address`.

    `suspend` freezes it: it accepts and answers nothing. `heal` undoes that.
    """

    def __init__(self) -> None:
        self._directory = new_directory("registry")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        config = self._directory / "config.yml"
        # JSON, which is YAML too.
        config.write_text(json.dumps(self._config()))
        self._server = Program(
            ["docker-registry", "serve", str(config)], self._directory / "log", cwd=self._directory
        )
        try:
            self.heal()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run a registry here, or None."""
        if shutil.which("docker-registry") is None:
            return "docker-registry is not installed"
        return None

    def _config(self) -> dict[str, object]:
        return {
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": str(self._directory / "data")}},
            "http": {"addr": self.address},
        }

    @property
    def pid(self) -> int:
        """Process id of the registry."""
        return self._server.pid

    def push(self, client: docker.APIClient, source: str, name: str, tag: str) -> str:
        """Store the engine's image `source` as `name:tag`, and return what to pull it by.

        The engine keeps no tag of it, but it keeps the layers while `source` is there.
        """
        repository = f"{self.address}/{name}"
        client.tag(source, repository, tag)
        try:
            for message in client.push(repository, tag, stream=True, decode=True):
                if "error" in message:
                    raise ServiceError(f"docker-registry: {message['error']}")
        finally:
            client.remove_image(f"{repository}:{tag}")
        return f"{repository}:{tag}"

    def suspend(self) -> None:
        """Freeze the registry."""
        self._server.suspend()

    def heal(self) -> None:
        """Make the registry run and answer, whatever a test did to it."""
        self._server.resume()
        if not self._server.running:
            self._server.start()
            self._server.wait_ready(
                lambda: http.answers(f"http://{self.address}/v2/"), READY_TIMEOUT
            )

    def close(self) -> None:
        """Stop the registry and remove its storage."""
        self._server.stop()
        remove_directory(self._directory)
