"""Rows of the dashboard "VibeBox - Telemetry" about what the service runs on."""

from monitoring.grafana.generator.levels import watched
from monitoring.grafana.generator.panels import Row, graph, steps
from monitoring.grafana.generator.promql import largest, quantile, rate, select, total
from monitoring.rules import thresholds as t

_THREADS, _ALL = "vibebox_worker_threads", 'state="total"'


def _of_each(part: str) -> str:
    """Return a number of the accept queue by instance, whose workers share it."""
    return largest(select(f"vibebox_accept_queue_{part}"), "instance")


_FULL = Row(
    "Threads, queue and pool",
    (
        graph(
            "Request threads",
            12,
            "Busy ones and all of them, over all workers; and from where on "
            f"RequestThreadsSaturated warns, at {t.THREADS_RATIO} of an instance's.",
            "none",
            (total(select(_THREADS), "state"), "{{state}}"),
            (f"{t.THREADS_RATIO} * {total(select(_THREADS, _ALL))}", "warns above"),
            bounds=(0, None),
        ),
        graph(
            "Accept queue",
            12,
            "Connections that wait on the listening socket, and how many may. A worker takes "
            "connections before it has a thread for them: look at the threads first. The sum over "
            "instances; the dashboard of the API has each.",
            "none",
            # Long before it is full it is worth a look.
            (f"clamp_min({total(_of_each('depth'))}, 1)", "waiting"),
            (f"{total(_of_each('limit'))} > 0", "limit"),
            bounds=(1, None),
            logarithmic=True,
        ),
        graph(
            "Database pool use",
            24,
            "Connections in use over those allowed, in the fullest process. DatabasePoolExhausted "
            f"warns at {t.POOL_RATIO}.",
            "percentunit",
            (
                largest(select("vibebox_db_connection_pool_utilization"), "instance"),
                "{{instance}}",
            ),
            bounds=(0, 1),
            thresholds=watched(notice=0.8, DatabasePoolExhausted=t.POOL_RATIO),
            height=8,
        ),
    ),
)
_INTERPRETER = Row(
    "Interpreter",
    (
        graph(
            "Scheduling lag",
            12,
            "How late a thread wakes up that asked to sleep 100 ms. HighEventLoopLag warns at a "
            f"p99 of {t.LAG_SECONDS} s.",
            "s",
            *(
                (quantile(share / 100, "vibebox_scheduling_lag_seconds"), f"p{share}")
                for share in (50, 90, 99)
            ),
            bounds=(0, None),
            thresholds=watched(notice=0.05, HighEventLoopLag=t.LAG_SECONDS),
        ),
        graph(
            "Pauses of the garbage collector",
            12,
            "p99 of each generation; nothing else runs in the process meanwhile.",
            "s",
            (
                quantile(0.99, "vibebox_python_gc_duration_seconds", by="generation"),
                "generation {{generation}}",
            ),
            thresholds=steps("ok", notice=0.05),
            # Collections of the oldest generation are minutes apart.
            bridged=True,
        ),
    ),
)
_TALL = 14
"""Lines of the grid: the legend has one for each of four workers, the master and the agent."""
_PROCESSES = Row(
    "Processes",
    (
        graph(
            "CPU by process",
            12,
            "Cores that each slot uses, over all instances.",
            "suffix:cores",
            (total(rate("vibebox_process_cpu_seconds_total"), "worker"), "{{worker}}"),
            stacked=True,
            decimals=2,
            height=_TALL,
        ),
        graph(
            "Memory by process",
            12,
            "Resident memory, each shared page divided by its users: the sum is what is used.",
            "bytes",
            (total(select("vibebox_process_proportional_memory_bytes"), "worker"), "{{worker}}"),
            stacked=True,
        ),
        graph(
            "Open descriptors",
            24,
            "Share of the file descriptors that the process may open; the fullest process of each "
            "slot.",
            "percentunit",
            (
                f"max by (worker) ({select('vibebox_process_open_fds')}"
                f" / {select('vibebox_process_max_fds')})",
                "{{worker}}",
            ),
            bounds=(0, None),
            # In a narrow window the legend is below, and has six.
            height=14,
            thresholds=watched(HighFileDescriptorUsage=t.DESCRIPTOR_RATIO),
        ),
    ),
)

RUNTIME = (_FULL, _INTERPRETER, _PROCESSES)
