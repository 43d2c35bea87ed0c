"""Containers that harm whoever looks after them, and normal ones that must not notice."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.backends.docker_engine import DockerEngine
from tests.backends.host_image import import_host_image
from tests.backends.programs import wait_until
from tests.end_to_end.api import Api
from tests.end_to_end.sockets import Screen, opened

PATIENCE = 30.0
"""Generous: the machine is busy with what the hostile ones do within their limits."""

NORMAL, FLOODING, LABELLED = (f"vibebox-test/{name}:1" for name in ("normal", "flood", "lie"))
# What a normal one prints, numbered, until it is told to exit with a code.
_COUNTING = (
    "cd /workspace; i=0; while :; do i=$((i+1)); echo line $i; "
    "[ ! -e exit ] || { read code <exit; rm exit; exit $code; }; sleep 0.5; done"
)
_FLOOD = "exec yes 0123456789012345678901234567890123456789"
# Labels of an image are in every event of its containers, and take the place of Docker's own words.
_LABELS = {"exitCode": "banana", "note": "x" * 300_000}
_BUSYBOX = "#!/bin/busybox sh"

HARM: dict[str, str] = {
    "bytes": f"printf '%s\\n' '{_BUSYBOX}' 'printf \"\\377\\376\\n\"' >/t; chmod +x /t; "
    "mv /t /usr/local/bin/tmux",
    "hangs": f"printf '%s\\n' '{_BUSYBOX}' 'while :; do busybox sleep 9; done' >/t; chmod +x /t; "
    "mv /t /bin/sh",
    "prints": f"printf '%s\\n' '{_BUSYBOX}' 'exec busybox yes vibebox' >/t; chmod +x /t; "
    "mv /t /bin/sh",
    "lies": f"printf '%s\\n' '{_BUSYBOX}' 'echo vibebox-00000000 99999999999999999999 -1' >/t; "
    "chmod +x /t; cp /t /bin/id; mv /t /usr/local/bin/tmux",
    "forks": "trap '' HUP TERM; while :; do (busybox sleep 3 &); done",
    "fills": "while :; do busybox dd if=/dev/zero of=/workspace/full bs=1M count=64; done",
    "deletes": "cd /bin; busybox rm -rf /usr /lib /lib64 /etc; "
    "for f in *; do [ $f = busybox ] || busybox rm -f $f; done; busybox rm -f busybox",
}
"""What a hostile container does to itself, by its own shell."""


def make_images(engine: DockerEngine) -> None:
    """Make the images of normal and of hostile environments."""
    with engine.client() as client:
        base = import_host_image(client)
        _derive(client, base, NORMAL, _COUNTING, {})
        _derive(client, base, FLOODING, _FLOOD, {})
        _derive(client, base, LABELLED, "sleep 100000", _LABELS)


def _derive(raw: Any, base: str, tag: str, command: str, labels: dict[str, str]) -> None:
    """Make an image with a command and labels, and a VS Code server that says yes to everything."""
    server = "/usr/local/bin/code-server"
    making = f"printf '#!/bin/sh\\n' >{server}; chmod +x {server}"
    made = raw.create_container(base, ["sh", "-c", making])["Id"]
    raw.start(made)
    raw.wait(made)
    repository, _, version = tag.rpartition(":")
    raw.commit(made, repository, version, conf={"Cmd": ["sh", "-c", command], "Labels": labels})
    raw.remove_container(made)


def run_in(engine: DockerEngine, environment: str, script: str, *, wait: bool) -> None:
    """Run a script in a container behind VibeBox's back."""
    with engine.client() as client:
        raw: Any = client
        made = raw.exec_create(f"vibebox-{environment}", ["sh", "-c", script])["Id"]
        raw.exec_start(made, detach=not wait)


class Hostile:
    """One of each kind; what a session in it may cost is tried again and again."""

    def __init__(self, api: Api, engine: DockerEngine) -> None:
        self._api, self._engine = api, engine
        self.slowest: dict[str, float] = {}
        limits = {"cpu_limit": 0.1, "memory_limit_mb": 64}
        self.environments = {kind: api.create(f"hostile-{kind}", NORMAL, **limits) for kind in HARM}
        self.environments["floods"] = api.create("hostile-floods", FLOODING, **limits)
        self.environments["labels"] = api.create("hostile-labels", LABELLED, **limits)

    def begin(self) -> None:
        """Start them, with sessions and extensions of each, and let them turn on us."""
        for environment in self.environments.values():
            assert self._api.act(environment, "start").status_code == 200
            for kind in ("tmux", "shell"):
                self._ask("POST", f"/environments/{environment}/sessions", {"type": kind})
            self._ask("POST", f"/environments/{environment}/extensions", {"id": "a.b"})
        for kind, script in HARM.items():
            run_in(self._engine, self.environments[kind], script, wait=False)

    @contextmanager
    def provoking(self) -> Iterator[None]:
        """Ask all the while for what makes somebody look into them."""
        over = threading.Event()

        def go_on() -> None:
            while True:
                for kind, environment in self.environments.items():
                    self._provoke(kind, environment)
                    if over.wait(0.2):
                        return

        with ThreadPoolExecutor(1) as pool:
            going_on = pool.submit(go_on)
            try:
                yield
            finally:
                over.set()
            going_on.result()

    def _provoke(self, kind: str, environment: str) -> None:
        """Any answer but a fault of ours will do."""
        begun = time.monotonic()
        for session in self._sessions(environment):
            self._ask("DELETE", f"/sessions/{session}")
        self._ask("POST", f"/environments/{environment}/sessions", {"type": "tmux"})
        self._ask("POST", f"/environments/{environment}/extensions", {"id": "c.d"})
        self.slowest[kind] = max(self.slowest.get(kind, 0.0), time.monotonic() - begun)

    def _sessions(self, environment: str) -> list[str]:
        found = self._api.call("GET", f"/environments/{environment}/sessions?limit=5").json()
        return [item["id"] for item in found["items"] if item["status"] != "terminated"]

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        response = self._api.call(method, path, body)
        assert response.status_code < 500, (method, path, response.text)
        assert "invalid-input" not in response.text, response.text


class Normal:
    """An environment of somebody who knows nothing of all that."""

    def __init__(self, api: Api, engine: DockerEngine, number: int) -> None:
        self._api, self._engine, self._number = api, engine, number
        self.id = api.create(f"normal-{number}", NORMAL, cpu_limit=0.2, memory_limit_mb=64)
        self._rounds = 0
        self.start()

    def start(self) -> None:
        answer = self._api.act(self.id, "start")
        assert answer.json().get("status") == "running", answer.text

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = self._api.call("GET", f"/environments/{self.id}").json()
        return found

    def check_logs(self) -> None:
        """What is printed now is shown soon, and in order."""
        before = self._last_line()
        wait_until(lambda: self._last_line() > before + 1, PATIENCE, 0.2)

    def _last_line(self) -> int:
        page = self._api.call("GET", f"/environments/{self.id}/logs?order=desc&limit=20").json()
        lines = [item["line"] for item in page["items"] if item["line"].startswith("line ")]
        numbers = [int(line.split()[1]) for line in lines]
        newest = numbers[: numbers.index(1) + 1] if 1 in numbers else numbers
        assert newest == list(range(newest[0], newest[0] - len(newest), -1)) if newest else True
        return numbers[0] if numbers else 0

    def check_session(self, kind: str) -> None:
        """A session begins, answers and ends."""
        path = f"/environments/{self.id}/sessions"
        made = self._api.call("POST", path, {"type": kind})
        assert made.status_code == 201, made.text
        session = f"/sessions/{made.json()['id']}"
        with ExitStack() as stack:
            screen = Screen(stack.enter_context(opened(self._api, f"{session}/terminal")))
            screen.type("echo $((6 * 7))$((1 + 1))\n")
            screen.wait("422")
        if kind == "tmux":
            assert self._api.call("DELETE", session).status_code == 204
        wait_until(lambda: self._api.call("GET", session).json()["status"] == "terminated", 10)

    def check_extension(self) -> None:
        """An extension is installed."""
        self._rounds += 1
        path = f"/environments/{self.id}/extensions"
        body = {"id": f"normal.e{self._number}x{self._rounds}"}
        made = self._api.call("POST", path, body)
        assert made.status_code == 202, made.text
        found = f"{path}/{made.json()['id']}"
        wait_until(lambda: self._api.call("GET", found).json()["state"] == "installed", PATIENCE)

    def check_exit(self, code: int) -> None:
        """An end is told with its reason, and the next start works."""
        reason = {0: "completed", 3: "error", 137: "killed"}[code]
        if code == 137:
            with self._engine.client() as client:
                raw: Any = client
                raw.kill(f"vibebox-{self.id}")
        else:
            script = f"cd /workspace && echo {code} >new && mv new exit"
            run_in(self._engine, self.id, script, wait=True)

        def told() -> bool:
            found = self.shown()
            return (found["exit_reason"], found["exit_code"]) == (reason, code)

        wait_until(told, PATIENCE, 0.2, lambda: str(self.shown()))
        assert self.shown()["status"] == ("stopped" if code == 0 else "error")
        self.start()
