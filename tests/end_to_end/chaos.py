"""Lifecycle operations by several threads, and a reaper that kills what they depend on."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

import psutil
import requests

from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.web import WebServer
from tests.end_to_end.api import Api

# What a user asks for, by the status that the environment had when it was last seen.
_WISHES = {
    "running": ("stop", "stop", "restart", "restart", "delete"),
    "stopped": ("start", "start", "start", "start", "delete"),
    "error": ("start", "start", "restart", "delete"),
}
_ENVIRONMENTS = 3
"""How many a thread keeps about."""
_MEDDLING = 0.15
"""How often a thread changes what another one may be changing."""
# A client that was refused tries again a little later; else an outage would eat all operations.
_PAUSE = 0.3


_REFUSED = (409, 429)


class Users:
    """Threads that create, start, stop, restart and delete environments, `operations` in all.

    Attributes: answers (how often each operation got each answer; "none" when the connection
    broke). A conflict is an answer, but no operation: nothing was done.
    """

    def __init__(self, server: WebServer, api: Api, image: str, operations: int, seed: int) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        self._headers = {"Authorization": f"Bearer {api.tokens['access_token']}"}
        self._url = f"{server.url}/api/v1/environments"
        self._image = image
        self._left = operations
        self._seed = seed
        self._lock = threading.Lock()
        self._environments: dict[str, str] = {}
        """Each with the status that was last seen."""
        self._threads: list[threading.Thread] = []

    def start(self, threads: int) -> None:
        """Set the threads to work."""
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"user-{number}")
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether there is something left to do."""
        return any(thread.is_alive() for thread in self._threads)

    @property
    def left(self) -> int:
        return max(0, self._left)

    def join(self) -> None:
        """Wait until all is done; what is not begun any more is left."""
        for thread in self._threads:
            thread.join()

    def give_up(self) -> None:
        """Begin no further operation."""
        with self._lock:
            self._left = 0

    def succeeded(self, *operations: str) -> int:
        """Return how many of these operations were answered with success."""
        return sum(
            times
            for (operation, answer), times in self.answers.items()
            if operation in operations and answer.startswith("2")
        )

    def _run(self, number: int) -> None:
        choice = random.Random(self._seed * 1000 + number)
        while self._take():
            known = self._known(number, choice)
            if not known or (len(known) < _ENVIRONMENTS and choice.random() < 0.2):
                self._create(f"chaos-{number}-{choice.getrandbits(40):x}")
            else:
                environment, status = choice.choice(known)
                self._act(environment, choice.choice(_WISHES.get(status, ("stop", "start"))))

    def _known(self, number: int, choice: random.Random) -> list[tuple[str, str]]:
        """Return the environments of this thread, and now and then those of all."""
        with self._lock:
            known = list(self._environments.items())
        if choice.random() < _MEDDLING:
            return known
        return known[number % len(self._threads) :: len(self._threads)]

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _create(self, name: str) -> None:
        body = {"name": name, "image": self._image, "memory_limit_mb": 32}
        response = self._send("create", "POST", self._url, body)
        if response is not None and response.status_code == 201:
            self._see(response.json())

    def _act(self, environment: str, operation: str) -> None:
        url = f"{self._url}/{environment}"
        if operation == "delete":
            response = self._send(operation, "DELETE", url)
        else:
            response = self._send(operation, "POST", f"{url}/{operation}")
        if response is None or response.status_code in _REFUSED or response.status_code >= 500:
            self._look(url)
        elif response.status_code in (204, 404):
            with self._lock:
                self._environments.pop(environment, None)
        else:
            self._see(response.json())

    def _look(self, url: str) -> None:
        """Find out what became of the environment."""
        try:
            response = requests.get(url, headers=self._headers, timeout=20, proxies={"http": ""})
        except requests.RequestException:
            return
        if response.ok:
            self._see(response.json())

    def _see(self, environment: dict[str, str]) -> None:
        with self._lock:
            self._environments[environment["id"]] = environment["status"]

    def _send(
        self, operation: str, method: str, url: str, body: object = None
    ) -> requests.Response | None:
        try:
            response = requests.request(
                method, url, json=body, headers=self._headers, timeout=90, proxies={"http": ""}
            )
        except requests.RequestException:
            self._note(operation, "none")
            time.sleep(_PAUSE)
            return None
        self._note(operation, str(response.status_code))
        if response.status_code >= 500:
            time.sleep(_PAUSE)
        return response

    def _note(self, operation: str, answer: str) -> None:
        with self._lock:
            self.answers[operation, answer] += 1
            self._left += answer == "409"


class Reaper:
    """Kills one thing at a time, and starts again what nobody else does.

    Attributes: kills (how often each was killed).
    """

    def __init__(
        self,
        server: WebServer,
        agent: Agent,
        engine: DockerEngine,
        postgresql: PostgreSQL,
        seed: int,
    ) -> None:
        self.kills: Counter[str] = Counter()
        self._server = server
        self._agent = agent
        self._engine = engine
        self._postgresql = postgresql
        self._choice = random.Random(seed)
        self._bag: list[str] = []

    def strike(self) -> None:
        """Kill something; all kinds have their turn before one comes again, but for workers."""
        victims: dict[str, Callable[[], None]] = {
            "worker": self._kill_worker,
            "agent": self._kill_agent,
            "dockerd": self._kill_engine,
            "postgresql": self._kill_postgresql,
        }
        if not self._bag:
            self._bag = [*victims, "worker"]
            self._choice.shuffle(self._bag)
        name = self._bag.pop()
        self.kills[name] += 1
        victims[name]()

    def pause(self) -> float:
        """Return how long to leave everything alone."""
        return self._choice.uniform(1.0, 4.0)

    def _kill_worker(self) -> None:
        workers = self._server.worker_pids()
        if workers:
            victim = self._choice.choice(workers)
            if psutil.pid_exists(victim):
                os.kill(victim, signal.SIGKILL)

    def _kill_agent(self) -> None:
        self._agent.kill()
        time.sleep(self._choice.uniform(0.0, 2.0))
        self._agent.start(leading=False)

    def _kill_engine(self) -> None:
        self._engine.kill()
        time.sleep(self._choice.uniform(0.0, 2.0))
        self._engine.start()

    def _kill_postgresql(self) -> None:
        self._postgresql.kill()
        time.sleep(self._choice.uniform(0.0, 2.0))
        self._postgresql.start()
