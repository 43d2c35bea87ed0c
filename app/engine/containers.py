"""Our containers in Docker's JSON: how they are made and how their state reads.

The security of an environment is decided here and nowhere else: no host mounts, no privileges,
limits on every resource, ports on one address only.
"""

from datetime import UTC, datetime
from typing import Any

from app.core.errors import EngineError
from app.engine.answers import describing
from app.engine.values import (
    ENVIRONMENT_LABEL,
    INSTANCE_LABEL,
    ContainerSpec,
    ContainerState,
    ContainerSummary,
    HostProcess,
    PortBinding,
)

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

# What Docker Engine takes at least.
_LEAST_NANO_CPUS = 10_000_000
_LEAST_MEMORY_MB = 6

# More keeps more of a container's past output, for (size x files) of disk for each container.
_LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}

PROCESS_COLUMNS = "-eo pid,sess,stat"
"""What is asked of each process: nothing whose length its owner chooses."""
_ENDED = ("Z", "X")

NEVER = "0001-01-01T00:00:00Z"
"""Docker's zero time."""


def creation_body(spec: ContainerSpec, publish_address: str) -> dict[str, Any]:
    """Return the body of POST /containers/create for `spec`."""
    return {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": _labels(spec),
        # A bare shell ends at once when its standard input is closed. No tty: output of the two
        # streams stays apart in the log.
        "OpenStdin": True,
        "Tty": False,
        "ExposedPorts": {_port_key(port): {} for port in spec.ports},
        "HostConfig": _host_config(spec, publish_address),
    }


def container_state(answer: dict[str, Any]) -> ContainerState:
    """Return the state in an answer of GET /containers/{id}/json."""
    with describing("a container"):
        state = answer["State"]
        status, started = str(state["Status"]), str(state["StartedAt"])
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
            started_at=_moment(started),
            ports=_ports(answer["NetworkSettings"].get("Ports") or {}),
            started="" if started == NEVER else started,
            finished_at=_moment(state["FinishedAt"]),
            environment_id=environment_of(answer["Config"]),
            instance=instance_of(answer["Config"]),
            name=str(answer["Name"]).removeprefix("/"),
            image=str(answer["Config"]["Image"]),
            pids_limit=answer["HostConfig"].get("PidsLimit") or None,
            pid=int(state["Pid"]) or None,
        )


def container_summaries(answer: list[dict[str, Any]]) -> list[ContainerSummary]:
    """Return the containers in an answer of GET /containers/json."""
    with describing("a container"):
        return [
            ContainerSummary(
                id=str(container["Id"]),
                # A container that is being removed may have lost its names already.
                name=str(next(iter(container["Names"] or []), "")).removeprefix("/"),
                environment_id=environment_of(container),
                instance=instance_of(container),
                status=str(container["State"]),
            )
            for container in answer
        ]


def host_processes(answer: dict[str, Any]) -> list[HostProcess]:
    """Return the processes in an answer of GET /containers/{id}/top, those that ended left out."""
    with describing("the processes of a container"):
        return [
            HostProcess(int(pid), int(session))
            for pid, session, state in answer["Processes"] or []
            if not state.startswith(_ENDED)
        ]


def environment_of(labelled: dict[str, Any]) -> str | None:
    """Return the environment that something with labels belongs to; None when it is not ours."""
    label = (labelled["Labels"] or {}).get(ENVIRONMENT_LABEL)
    return None if label is None else str(label)


def instance_of(labelled: dict[str, Any]) -> str | None:
    """Return the installation that something with labels belongs to; None when it has none."""
    label = (labelled["Labels"] or {}).get(INSTANCE_LABEL)
    return None if label is None else str(label)


def identifier(answer: dict[str, Any]) -> str:
    """Return the id in an answer about a container, an image or an exec."""
    try:
        return str(answer["Id"])
    except (KeyError, TypeError) as error:
        raise EngineError("Docker Engine answered without an id.") from error


def resources(cpu_limit: float, memory_limit_mb: int) -> dict[str, int]:
    """Return the limits that can change while a container runs."""
    # No limit is written as 0: a record that is as good as that gets the least there is.
    memory = max(_LEAST_MEMORY_MB, memory_limit_mb) * 1024 * 1024
    return {
        "Memory": memory,
        "MemorySwap": memory,  # memory and swap together: no swap
        "NanoCpus": max(_LEAST_NANO_CPUS, round(cpu_limit * 1_000_000_000)),
    }


def _labels(spec: ContainerSpec) -> dict[str, str]:
    instance = {INSTANCE_LABEL: spec.instance} if spec.instance else {}
    return {ENVIRONMENT_LABEL: spec.environment_id, **instance}


def _host_config(spec: ContainerSpec, publish_address: str) -> dict[str, Any]:
    published: dict[str, list[dict[str, str]]] = {}
    picked = "" if spec.picked_from is None else "{}-{}".format(*spec.picked_from)
    for port in spec.ports:
        host_port = picked if port.host_port is None else str(port.host_port)
        binding = {"HostIp": publish_address, "HostPort": host_port}
        published.setdefault(_port_key(port), []).append(binding)
    return {
        **resources(spec.cpu_limit, spec.memory_limit_mb),
        "Mounts": _mounts(spec),
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


def _mounts(spec: ContainerSpec) -> list[dict[str, Any]]:
    """Return the one mount an environment may have: a named volume, never a path of the host."""
    if spec.volume is None:
        return []
    return [
        {
            "Type": "volume",
            "Source": spec.volume.name,
            "Target": spec.volume.path,
            # For a volume that Docker makes now, so that it is known as ours.
            "VolumeOptions": {"Labels": _labels(spec)},
        }
    ]


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
    return None if text == NEVER else datetime.fromisoformat(text).astimezone(UTC)
