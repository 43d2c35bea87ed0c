"""Alerts on what runs out in a single process, where the service as a whole looks well."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import increases, rates, ratio, select
from monitoring.rules.rule import Alert, Group

_PERCENT = "{{ $value | humanizePercentage }}"
_REFUSALS = "vibebox_limit_refusals_total"
_PLACE = "job, instance, worker"

GROUPS = (
    Group(
        "saturation",
        (
            Alert(
                "ProcessCPUSaturated",
                "warning",
                "application",
                "10m",
                # Python runs one thread of a process at a time: a core is all that it can use.
                f"{rates('job, instance, role, worker', 'vibebox_process_cpu_seconds_total')}"
                f" > {t.CORE_RATIO}",
                "{{ $labels.worker }} of {{ $labels.instance }} uses a whole core",
                f"It has computed for {_PERCENT} of the time for more than 10 minutes: there is "
                "too much to do for one process, or a thread that does not end.",
                "telemetry",
            ),
            Alert(
                "HighFileDescriptorUsage",
                "warning",
                "application",
                "2m",
                ratio(
                    f"max by ({_PLACE}) ({select('vibebox_process_open_fds')})",
                    f"max by ({_PLACE}) ({select('vibebox_process_max_fds')})",
                    f"> {t.DESCRIPTOR_RATIO}",
                ),
                "{{ $labels.worker }} of {{ $labels.instance }} runs out of file descriptors",
                f"{_PERCENT} of those that it may open are open; then it accepts nobody any more.",
                "telemetry",
            ),
            Alert(
                "SharedLimitReached",
                "warning",
                "api",
                "5m",
                # One account at its own limits is that account's business.
                increases("job, limit", _REFUSALS, 'limit=~"(server|host)_.+"', window="10m")
                + f" >= {t.SHARED_REFUSALS}",
                "VibeBox refuses because of its limit {{ $labels.limit }}",
                '{{ $value | printf "%.0f" }} requests in the past 10 minutes met a limit that all '
                "accounts share: there is more to do than one server or host is to take.",
                "api-performance",
            ),
        ),
    ),
)
