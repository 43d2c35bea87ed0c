"""Alerts on what runs out in a single process, where the service as a whole looks well."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import (
    both,
    floor,
    increases,
    quantile,
    rates,
    ratio,
    select,
    slower,
)
from monitoring.rules.rule import Alert, Group

_PERCENT = "{{ $value | humanizePercentage }}"
_REFUSALS = "vibebox_limit_refusals_total"
_PLACE = "job, instance, worker"
_WAIT = "vibebox_http_queue_wait_seconds"
_INSTANCE = "sum by (job, instance) ({})"

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
                "RequestsWaitForThreads",
                "warning",
                "application",
                "2m",
                both(
                    quantile(0.95, "job, instance", _WAIT) + f" > {t.QUEUE_SECONDS}",
                    floor(rates("job, instance", f"{_WAIT}_count")),
                    slower(t.QUEUE_SECONDS, "job, instance", _WAIT),
                ),
                "Requests wait for a thread of {{ $labels.instance }}",
                '5 of 100 waited for {{ $value | printf "%.1f" }} s or more in the past 5 minutes '
                f"(limit: {t.QUEUE_SECONDS:g} s) before anybody worked on them.",
                "api-performance",
            ),
            Alert(
                "RequestStuck",
                "warning",
                "application",
                "1m",
                f"max by (job, instance) ({select('vibebox_http_oldest_request_seconds')})"
                f" > {t.STUCK_SECONDS}",
                "A request at {{ $labels.instance }} does not end",
                "It has held a thread for {{ $value | humanizeDuration }}. No duration shows it: "
                "those are counted when requests end.",
                "api-performance",
            ),
            Alert(
                "HighClientConnections",
                "warning",
                "application",
                "5m",
                ratio(
                    _INSTANCE.format(select("vibebox_client_connections")),
                    _INSTANCE.format(select("vibebox_client_connections_limit")),
                    f"> {t.CONNECTIONS_RATIO}",
                ),
                "{{ $labels.instance }} has nearly as many connections as it holds",
                f"{_PERCENT} of its places for clients are taken; beyond, those that do nothing "
                "have to make room.",
                "api-performance",
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
