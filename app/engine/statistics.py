"""What a container uses, from samples that Docker's `stats` takes once (`one-shot`)."""

from datetime import UTC, datetime
from typing import Any

from app.core.errors import EngineConflictError
from app.engine.answers import describing
from app.engine.containers import NEVER
from app.engine.values import ContainerStats, RunCounters

_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def container_stats(answer: Any, before: Any) -> ContainerStats:
    """Return what is in an answer of GET /containers/{id}/stats, and in one from shortly before.

    Raises: EngineConflictError when the container does not run: Docker answers with zeros then.
    """
    counters, earlier = run_counters(answer), run_counters(before)
    with describing("the use of a container"):
        return ContainerStats(
            cpu_percent=_cpu_percent(counters, earlier),
            cpu_seconds=counters.cpu_ns / _NS,
            memory_bytes=counters.memory_bytes,
            memory_limit_bytes=counters.memory_limit_bytes,
            network_rx_bytes=counters.network_rx_bytes or 0,
            network_tx_bytes=counters.network_tx_bytes or 0,
            block_read_bytes=counters.block_read_bytes,
            block_write_bytes=counters.block_write_bytes,
            pids=int(answer["pids_stats"].get("current", 0)),
            read_at=datetime.fromisoformat(answer["read"]),
        )


def run_counters(answer: Any) -> RunCounters:
    """Return the totals in an answer of GET /containers/{id}/stats. Raises as `container_stats`."""
    with describing("the use of a container"):
        memory, cpu = answer["memory_stats"], answer["cpu_stats"]
        if answer["read"] == NEVER or not memory:
            raise EngineConflictError("The container is not running, so it uses nothing.")
        networks = (answer.get("networks") or {}).values()
        return RunCounters(
            read_at_ns=_nanoseconds(answer["read"]),
            cpu_ns=int(cpu["cpu_usage"]["total_usage"]),
            throttled_ns=int((cpu.get("throttling_data") or {}).get("throttled_time", 0)),
            memory_bytes=_memory(memory),
            # Version 2 of control groups has it too, but Docker does not tell it.
            memory_peak_bytes=int(memory["max_usage"]) if "max_usage" in memory else None,
            memory_limit_bytes=int(memory["limit"]),
            oom_kills=None,
            network_rx_bytes=sum(int(network["rx_bytes"]) for network in networks),
            network_tx_bytes=sum(int(network["tx_bytes"]) for network in networks),
            block_read_bytes=_blocks(answer["blkio_stats"], "read"),
            block_write_bytes=_blocks(answer["blkio_stats"], "write"),
        )


def _nanoseconds(moment: str) -> int:
    """Return a moment of Docker's in nanoseconds since 1970, to the microsecond."""
    passed = datetime.fromisoformat(moment) - _EPOCH
    return ((passed.days * 86400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1000


def _cpu_percent(now: RunCounters, before: RunCounters) -> float:
    used, passed = now.cpu_ns - before.cpu_ns, now.read_at_ns - before.read_at_ns
    # A container that began anew in between has used less than before.
    return 100.0 * used / passed if used > 0 and passed > 0 else 0.0


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
