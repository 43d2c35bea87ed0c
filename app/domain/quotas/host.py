"""What this host has, for the bounds that no setting names."""

import os

_MEMORY = "/proc/meminfo"
# Limits are not reservations: most of what is up does little. So many times as much as there is may
# be promised before the sum of the promises is the danger.
_CPUS, _MEMORY_TIMES = 16, 4
_MIB_IN_KIB = 1024


def default_cpus() -> float:
    """Return the CPUs that all environments together may have."""
    return float(_CPUS * (os.cpu_count() or 1))


def default_memory_mb() -> int:
    """Return the MiB that all environments together may have."""
    with open(_MEMORY) as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            if name == "MemTotal":
                return _MEMORY_TIMES * int(rest.split()[0]) // _MIB_IN_KIB
    raise OSError(f"{_MEMORY} does not tell how much memory there is")
