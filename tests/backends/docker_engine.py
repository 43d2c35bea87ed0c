"""A throw-away Docker Engine, apart from any engine that runs on this host."""

import contextlib
import ipaddress
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import docker
import docker.errors
import psutil
import requests

from tests.backends.busybox import busybox_program, import_busybox
from tests.backends.programs import Program, ServiceError, wait_until
from tests.backends.scratch import mount_image, new_directory, note_bridge, remove_directory

# Recovery after a SIGKILL took 11 s with containers present.
READY_TIMEOUT = 60.0
CLIENT_TIMEOUT = 30
_NUMBERS = itertools.count(1)


class DockerEngine:
    """A dockerd with its own data, socket and bridge.

    The bridge works without iptables, so that engines on one machine do not disturb each other:
    containers publish ports on 127.0.0.1 through docker-proxy, and reach nothing outside.

    `suspend` freezes dockerd alone, which is what a hung engine is: its socket accepts, nothing is
    answered, containers keep running. `stop` and `kill` make the socket refuse. All of them are
    undone by `heal`, which also closes the clients handed out. `suspend_runtime` freezes
    containerd: the engine then answers, and does nothing. With `disk` it has so many MiB of disk.
    `env` is what the daemon has in its environment beside that of the tests: a PATH with other
    releases' programs, for instance.
    """

    def __init__(self, disk: int | None = None, env: Mapping[str, str] | None = None) -> None:
        self._directory = new_directory("docker")
        self.disk = self._directory / "data"
        if disk:
            mount_image(self.disk, f"{disk}M")
        self.socket_path = str(self._directory / "docker.sock")
        self.host = f"unix://{self.socket_path}"
        self.log = self._directory / "log"
        self._clients: list[docker.APIClient] = []
        self._bridge = f"vbt{os.getpid() % 10**8:x}n{next(_NUMBERS)}"
        self._daemon = Program(
            self._command(),
            self.log,
            cwd=Path("/"),
            freeze_family=False,
            env=None if env is None else {**os.environ, **env},
        )
        try:
            _mount_cgroups()
            self._make_bridge()
            self.start()
            self.busybox = import_busybox(self.client())
            self.close_clients()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run Docker Engine here, or None."""
        if os.geteuid() != 0:
            return "Docker Engine needs root"
        if shutil.which("dockerd") is None:
            return "dockerd is not installed"
        if busybox_program() is None:
            return "busybox-static is not installed"
        if shutil.which("ip") is None:
            return "ip (iproute2) is not installed"
        return None

    @property
    def bridge_address(self) -> str:
        """The address of this host at which containers reach it."""
        shown = subprocess.run(
            ["ip", "-4", "-oneline", "address", "show", "dev", self._bridge],
            check=True,
            capture_output=True,
            text=True,
        )
        return shown.stdout.split()[3].partition("/")[0]

    @property
    def pid(self) -> int:
        """Process id of dockerd."""
        return self._daemon.pid

    def _command(self) -> list[str]:
        return [
            "dockerd",
            f"--host={self.host}",
            f"--data-root={self._directory}/data",
            f"--exec-root={self._directory}/exec",
            f"--pidfile={self._directory}/pid",
            # Not /etc/docker/daemon.json, which belongs to the host's engine.
            f"--config-file={self._directory}/daemon.json",
            f"--bridge={self._bridge}",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-masq=false",
            "--ip=127.0.0.1",
        ]

    def _make_bridge(self) -> None:
        (self._directory / "daemon.json").write_text("{}")
        note_bridge(self._directory, self._bridge)
        address = _free_network()
        for arguments in (
            ("link", "add", self._bridge, "type", "bridge"),
            ("address", "add", address, "dev", self._bridge),
            ("link", "set", self._bridge, "up"),
        ):
            subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def start(self) -> None:
        """Start the daemon and wait until it answers; harmless when it runs."""
        if not self._daemon.running:
            self._forget_processes()
            self._daemon.start()
            self._daemon.wait_ready(self._answers, READY_TIMEOUT)

    def _forget_processes(self) -> None:
        """Remove the pid files that a killed daemon leaves.

        dockerd takes a process for running while it is a zombie, which under a slow PID 1 it may
        be for long: the next dockerd would refuse to start, or wait for a containerd that is gone.
        """
        for name in ("pid", "exec/containerd/containerd.pid"):
            (self._directory / name).unlink(missing_ok=True)

    def tell_calls(self, tell: bool) -> None:
        """Have the daemon log each call of its API, or no longer."""
        said = self.log.stat().st_size
        (self._directory / "daemon.json").write_text(json.dumps({"debug": tell}))
        os.kill(self.pid, signal.SIGHUP)
        wait_until(lambda: b"Reloaded configuration" in self.log.read_bytes()[said:], READY_TIMEOUT)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            try:
                connection.connect(self.socket_path)
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in connection.recv(64)
            except OSError:
                return False

    def client(self) -> docker.APIClient:
        """Return a new client. It is closed at the end of the test that asked for it."""
        client = self._connect()
        self._clients.append(client)
        return client

    def _connect(self) -> docker.APIClient:
        return docker.APIClient(base_url=self.host, version="auto", timeout=CLIENT_TIMEOUT)

    def close_clients(self) -> None:
        """Close the clients handed out."""
        while self._clients:
            self._clients.pop().close()

    def stop(self) -> None:
        """Stop the daemon with its containers, as a shutdown of the service does."""
        self._daemon.stop()

    def kill(self) -> None:
        """End the daemon without warning. Containers outlive it; the next `start` finds them."""
        self._daemon.kill()

    def suspend(self) -> None:
        """Freeze the daemon."""
        self._daemon.suspend()

    def resume(self) -> None:
        """Undo `suspend`; harmless when the daemon is not suspended."""
        self._daemon.resume()

    def suspend_runtime(self) -> None:
        """Freeze containerd alone."""
        self._runtime().suspend()

    def resume_runtime(self) -> None:
        """Undo `suspend_runtime`."""
        self._runtime().resume()

    def _runtime(self) -> psutil.Process:
        children = psutil.Process(self.pid).children()
        return next(child for child in children if child.name() == "containerd")

    def heal(self) -> None:
        """Make the daemon run and answer again, whatever a test did to it."""
        self.close_clients()
        self.resume()
        self.start()

    def clear(self) -> None:
        """Remove all containers, volumes and networks; images stay."""
        try:
            self._remove_all()
        except requests.Timeout:
            # 20.10 may stand still for minutes over a container that had hundreds of commands.
            self.kill()
            self.start()
            self._remove_all()

    def _remove_all(self) -> None:
        with contextlib.closing(self._connect()) as client:
            for container in client.containers(all=True):
                _ignore_missing(client.remove_container, container["Id"], force=True, v=True)
            for volume in client.volumes()["Volumes"] or []:
                _ignore_missing(client.remove_volume, volume["Name"], force=True)
            for network in client.networks():
                if network["Name"] not in ("bridge", "host", "none"):
                    _ignore_missing(client.remove_network, network["Id"])

    def close(self) -> None:
        """Stop the daemon and remove everything that belongs to it."""
        # Networks are bridges of this host that only the daemon knows how to remove.
        with contextlib.suppress(
            ServiceError, docker.errors.DockerException, requests.RequestException
        ):
            self.heal()
            self.clear()
        self.close_clients()
        self._daemon.stop()
        remove_directory(self._directory)


def _ignore_missing(remove: Callable[..., object], name: str, **options: object) -> None:
    """Remove something that may be gone already, or be going (409)."""
    with contextlib.suppress(docker.errors.APIError):
        remove(name, **options)


def _free_network() -> str:
    """Return an address for a bridge, with its prefix, in a network that no interface has."""
    listing = subprocess.run(
        ["ip", "-4", "-oneline", "address"], check=True, capture_output=True, text=True
    )
    taken = [
        ipaddress.IPv4Interface(line.split()[3]).network for line in listing.stdout.splitlines()
    ]
    candidates = list(ipaddress.IPv4Network("10.223.0.0/16").subnets(new_prefix=24))
    random.SystemRandom().shuffle(candidates)
    for network in candidates:
        if not any(network.overlaps(other) for other in taken):
            return f"{network[1]}/{network.prefixlen}"
    raise ServiceError("no free network for a bridge in 10.223.0.0/16")


def _mount_cgroups() -> None:
    """Mount the cgroup v1 hierarchies when the machine has no cgroups mounted at all.

    They are the machine's, not ours: another engine may start using them, so nobody unmounts them.
    """
    root = Path("/sys/fs/cgroup")
    if root.is_mount():
        return
    subprocess.run(["mount", "-t", "tmpfs", "cgroup", str(root)], check=True)
    for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
        name, _, _, enabled = line.split()
        if enabled == "1":
            (root / name).mkdir(exist_ok=True)
            subprocess.run(
                ["mount", "-t", "cgroup", "-o", name, "cgroup", str(root / name)], check=False
            )
