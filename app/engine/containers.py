"""Our containers in Docker's JSON: how they are made and how their state reads.

The security of an environment is decided here and nowhere else: no host mounts, no privileges,
limits on every resource, ports on one address only.
"""

from datetime import UTC, datetime
from typing import Any

from app.engine.types import ENVIRONMENT_LABEL, ContainerSpec, ContainerState, PortBinding
from app.errors import EngineError

# All capabilities are dropped; these come back, because package managers and `su` fail without
# them: they change owners and modes of files (CHOWN, DAC_OVERRIDE, FOWNER, FSETID), drop to an
# unprivileged user (SETUID, SETGID), confine a daemon (SYS_CHROOT), end other users' processes
# (KILL), give an installed program its own capability (SETFCAP), and listen below 1024
# (NET_BIND_SERVICE). Docker's default also has raw sockets and device nodes; we do not.
_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETUID",
    "SYS_CHROOT",
)

# More keeps more of a container's past output, for (size x files) of disk for each container.
_LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}

_NEVER = "0001-01-01T00:00:00Z"  # Docker's zero time


def creation_body(spec: ContainerSpec, publish_address: str) -> dict[str, Any]:
    """Return the body of POST /containers/create for `spec`."""
    return {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": {ENVIRONMENT_LABEL: spec.environment_id},
        # A bare shell ends at once when its standard input is closed. No tty: output of the two
        # streams stays apart in the log.
        "OpenStdin": True,
        "Tty": False,
        "ExposedPorts": {_port_key(port): {} for port in spec.ports},
        "HostConfig": _host_config(spec, publish_address),
    }


def container_state(answer: dict[str, Any]) -> ContainerState:
    """Return the state in an answer of GET /containers/{id}/json."""
    try:
        state = answer["State"]
        status = str(state["Status"])
        exit_code = int(state["ExitCode"])
        not_ended = state["Running"] or (status == "created" and exit_code == 0)
        return ContainerState(
            id=str(answer["Id"]),
            status=status,
            running=bool(state["Running"]),
            paused=bool(state["Paused"]),
            exit_code=None if not_ended else exit_code,
            oom_killed=bool(state["OOMKilled"]),
            error=str(state["Error"]),
            started_at=_moment(state["StartedAt"]),
            ports=_ports(answer["NetworkSettings"].get("Ports") or {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineError("Docker Engine described a container in an unknown way.") from error


def environment_of(answer: dict[str, Any]) -> str | None:
    """Return the environment that the container belongs to; None when it is not ours."""
    try:
        label = (answer["Config"]["Labels"] or {}).get(ENVIRONMENT_LABEL)
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError("Docker Engine described a container in an unknown way.") from error
    return None if label is None else str(label)


def identifier(answer: dict[str, Any]) -> str:
    """Return the id in an answer about a container, an image or an exec."""
    try:
        return str(answer["Id"])
    except (KeyError, TypeError) as error:
        raise EngineError("Docker Engine answered without an id.") from error


def _host_config(spec: ContainerSpec, publish_address: str) -> dict[str, Any]:
    memory = spec.memory_limit_mb * 1024 * 1024
    published: dict[str, list[dict[str, str]]] = {}
    for port in spec.ports:
        host_port = "" if port.host_port is None else str(port.host_port)
        binding = {"HostIp": publish_address, "HostPort": host_port}
        published.setdefault(_port_key(port), []).append(binding)
    return {
        "Memory": memory,
        "MemorySwap": memory,  # memory and swap together: no swap
        "NanoCpus": round(spec.cpu_limit * 1_000_000_000),
        "PidsLimit": spec.pids_limit,
        "CapDrop": ["ALL"],
        "CapAdd": list(_CAPABILITIES),
        "SecurityOpt": ["no-new-privileges"],
        "Privileged": False,
        # docker-init as process 1 passes the stop signal on, which a shell as process 1 ignores,
        # and reaps orphans.
        "Init": True,
        "PortBindings": published,
        # A container that ends stays ended: the agent sees it, and decides.
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": _LOG_OPTIONS},
    }


def _port_key(port: PortBinding) -> str:
    return f"{port.container_port}/{port.protocol}"


def _ports(answer: dict[str, list[dict[str, str]] | None]) -> tuple[PortBinding, ...]:
    found = set()
    for key, bindings in answer.items():
        number, _, protocol = key.partition("/")
        for binding in bindings or [{}]:
            host_port = int(binding["HostPort"]) if binding else None
            found.add(PortBinding(int(number), host_port, protocol))
    return tuple(sorted(found, key=lambda port: (port.container_port, port.host_port or 0)))


def _moment(text: str) -> datetime | None:
    return None if text == _NEVER else datetime.fromisoformat(text).astimezone(UTC)
