"""Families of a process: CPU, memory, descriptors, threads, garbage, lag."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefork_metrics.registry import Registry

CPU_MODES = ("user", "system")
GENERATIONS = ("0", "1", "2")
_WORKER = {"worker": None}


class ProcessFamilies:
    """Declared under the prefix of a registry."""

    def __init__(self, registry: "Registry") -> None:
        self.cpu = registry.counter(
            "process_cpu_seconds_total",
            "CPU time used by the processes that had this slot.",
            {"role": registry.roles, "worker": None, "mode": CPU_MODES},
            "each second, by what the process used since; worker is a slot (master, web-0, agent),"
            " which the next process in that place takes over",
        )
        self.resident_memory = registry.gauge(
            "process_resident_memory_bytes",
            "Resident memory, shared pages in full.",
            {"role": registry.roles, "worker": None},
            "each second, from /proc",
            multiprocess_mode="livemostrecent",
        )
        self.proportional_memory = registry.gauge(
            "process_proportional_memory_bytes",
            "Resident memory, each shared page divided by its users.",
            {"role": registry.roles, "worker": None},
            "every 5 s, from /proc; the sum over the slots is what the service uses",
            multiprocess_mode="livemostrecent",
        )
        self.virtual_memory = registry.gauge(
            "process_virtual_memory_bytes",
            "Address space, whether or not there is memory behind it.",
            {"role": registry.roles, "worker": None},
            "each second, from /proc",
            multiprocess_mode="livemostrecent",
        )
        self.memory_limit = registry.gauge(
            "memory_limit_bytes",
            "Memory that the control group allows, or the host has.",
            {"role": registry.roles},
            "every 5 s, from the control groups of version 1 or 2",
            multiprocess_mode="livemax",
        )
        self.memory_usage = registry.gauge(
            "memory_usage_bytes",
            "Memory in use by everything that the limit of this role holds for.",
            {"role": registry.roles},
            "the same moments; of the control group whose limit is shown, all its processes, "
            "without pages of files that the kernel takes back first; or of the host",
            multiprocess_mode="livemax",
        )
        self.cpu_limit = registry.gauge(
            "cpu_limit_cores",
            "Cores that the control group allows, or the host has.",
            {"role": registry.roles},
            "the same moments",
            multiprocess_mode="livemax",
        )
        self.open_fds = registry.gauge(
            "process_open_fds",
            "Open file descriptors.",
            _WORKER,
            "each second, from /proc",
            multiprocess_mode="livemostrecent",
        )
        self.max_fds = registry.gauge(
            "process_max_fds",
            "File descriptors that the process may open (soft limit).",
            _WORKER,
            "each second",
            multiprocess_mode="livemostrecent",
        )
        self.threads = registry.gauge(
            "process_threads",
            "Threads of every kind.",
            _WORKER,
            "each second, from /proc",
            multiprocess_mode="livemostrecent",
        )
        self.start_time = registry.gauge(
            "process_start_time_seconds",
            "Start of the process in seconds since 1970.",
            _WORKER,
            "the start of a process in the slot",
            multiprocess_mode="livemostrecent",
        )
        self.gc_collections = registry.counter(
            "python_gc_collections_total",
            "Runs of Python's garbage collector.",
            {**_WORKER, "generation": GENERATIONS},
            "each collection, counted within a second",
        )
        self.gc_collected_objects = registry.counter(
            "python_gc_collected_objects_total",
            "Objects that Python's garbage collector freed.",
            {**_WORKER, "generation": GENERATIONS},
            "the same collections",
        )
        self.gc_uncollectable_objects = registry.counter(
            "python_gc_uncollectable_objects_total",
            "Objects that Python's garbage collector found and could not free.",
            {**_WORKER, "generation": GENERATIONS},
            "the same collections",
        )
        self.gc_objects = registry.gauge(
            "python_gc_objects",
            "Objects that Python's garbage collector looks after.",
            {**_WORKER, "generation": GENERATIONS},
            "every 30 s, by listing them",
            multiprocess_mode="livemostrecent",
        )
        self.allocated_blocks = registry.gauge(
            "python_allocated_blocks",
            "Blocks of memory that Python's allocator has handed out.",
            _WORKER,
            "every 30 s, by looking at all its pools",
            multiprocess_mode="livemostrecent",
        )
        self.gc_duration = registry.histogram(
            "python_gc_duration_seconds",
            "Pause of each garbage collection.",
            {"generation": GENERATIONS},
            "the same collections",
            buckets=(0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1),
        )
        self.scheduling_lag = registry.histogram(
            "scheduling_lag_seconds",
            "How late a thread wakes up that asked to sleep 100 ms.",
            {},
            "each wake-up of that thread, in workers and agent; one that is late by L counts as L,"
            " L - 0.1, L - 0.2 and so on above 0, once for each 100 ms missed",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10),
        )
