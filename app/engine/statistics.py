"""What a container uses, computed from Docker's two samples as `docker stats` does."""

from datetime import datetime
from typing import Any

from app.core.errors import EngineConflictError
from app.engine.answers import describing
from app.engine.containers import NEVER
from app.engine.values import ContainerStats


def container_stats(answer: dict[str, Any]) -> ContainerStats:
    """Return what is in an answer of GET /containers/{id}/stats.

    Raises: EngineConflictError when the container does not run: Docker answers with zeros then.
    """
    with describing("the use of a container"):
        if answer["read"] == NEVER or not answer["memory_stats"]:
            raise EngineConflictError("The container is not running, so it uses nothing.")
        networks = (answer.get("networks") or {}).values()
        return ContainerStats(
            cpu_percent=_cpu_percent(answer["cpu_stats"], answer["precpu_stats"]),
            cpu_seconds=answer["cpu_stats"]["cpu_usage"]["total_usage"] / 1_000_000_000,
            memory_bytes=_memory(answer["memory_stats"]),
            memory_limit_bytes=int(answer["memory_stats"]["limit"]),
            network_rx_bytes=sum(int(network["rx_bytes"]) for network in networks),
            network_tx_bytes=sum(int(network["tx_bytes"]) for network in networks),
            block_read_bytes=_blocks(answer["blkio_stats"], "read"),
            block_write_bytes=_blocks(answer["blkio_stats"], "write"),
            pids=int(answer["pids_stats"].get("current", 0)),
            read_at=datetime.fromisoformat(answer["read"]),
        )


def _cpu_percent(now: dict[str, Any], before: dict[str, Any]) -> float:
    used: int = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    # The time of all processors of the host; absent in the sample of a container that just began.
    passed: int = now["system_cpu_usage"] - before.get("system_cpu_usage", 0)
    if passed <= 0 or used <= 0:
        return 0.0
    return 100.0 * used / passed * int(now["online_cpus"])


def _memory(memory: dict[str, Any]) -> int:
    """Return the use without page cache that the kernel would give back at once."""
    details = memory.get("stats") or {}
    # The first is the name of cgroup v1, which has the second too, but not of the whole tree.
    inactive = int(details.get("total_inactive_file", details.get("inactive_file", 0)))
    usage = int(memory["usage"])
    return usage - inactive if inactive < usage else usage


def _blocks(blocks: dict[str, Any], direction: str) -> int:
    # cgroup v1 says "Read", v2 "read"; null where the kernel counts nothing.
    entries = blocks.get("io_service_bytes_recursive") or []
    return sum(int(entry["value"]) for entry in entries if entry["op"].lower() == direction)
