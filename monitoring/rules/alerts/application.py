"""Alerts on the processes of the service, by the names that operators know."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import either, quantile, rates, ratio, select
from monitoring.rules.rule import Alert, Group

_PERCENT = "{{ $value | humanizePercentage }}"
# The series are gone, and none is 0, when the target vanishes from the configuration.
_DOWN = either(f"{select('up')} == 0", f"absent({select('up')})")
_THREADS = "sum by (job, instance) ({})"
# `increase` guesses what happened at the ends of its range: of 3 exits it makes 3.1.
_BAD_EXITS = select("vibebox_worker_exits_total", 'reason=~"timeout|killed|crashed"')
_EXITS = f"round(sum by (job, instance) (increase({_BAD_EXITS}[10m])))"
_REQUIRED = select("vibebox_health_check_up", 'required="true"')

GROUPS = (
    Group(
        "application-health",
        (
            Alert(
                "ServiceDown",
                "critical",
                "application",
                "1m",
                _DOWN,
                "VibeBox is down{{ with $labels.instance }} at {{ . }}{{ end }}",
                "Prometheus could not read the metrics of the service for a minute, or has no such "
                "target any more.",
                "vibebox-overview",
            ),
            Alert(
                "NotReady",
                "critical",
                "application",
                "2m",
                f"min by (job, check) ({_REQUIRED}) == 0",
                "VibeBox cannot serve: {{ $labels.check }} does not answer",
                "The required check {{ $labels.check }} has failed for 2 minutes, and "
                "/health/ready answers 503.",
                "vibebox-overview",
            ),
            Alert(
                "HighCPUUsage",
                "warning",
                "application",
                "5m",
                # Of all processes against what they may use together: N workers use N cores.
                ratio(
                    rates("job, instance, role", "vibebox_process_cpu_seconds_total"),
                    f"max by (job, instance, role) ({select('vibebox_cpu_limit_cores')})",
                    f"> {t.CPU_RATIO}",
                ),
                "The {{ $labels.role }} processes of {{ $labels.instance }} are short of CPU",
                f"They used {_PERCENT} of the CPU time that they may use in the past 5 minutes.",
                "vibebox-overview",
            ),
            Alert(
                "HighMemoryUsage",
                "warning",
                "application",
                "5m",
                # Of all that share the limit, whatever their role: the kernel counts those.
                ratio(
                    f"max by (job, instance, role) ({select('vibebox_memory_usage_bytes')})",
                    f"max by (job, instance, role) ({select('vibebox_memory_limit_bytes')})",
                    f"> {t.MEMORY_RATIO}",
                ),
                "{{ $labels.instance }} is short of memory ({{ $labels.role }})",
                f"{_PERCENT} of the memory that its {{{{ $labels.role }}}} processes share is in "
                "use; at the limit the kernel ends one of those that use it.",
                "vibebox-overview",
            ),
            Alert(
                "HighEventLoopLag",
                "warning",
                "application",
                "5m",
                quantile(0.99, "job, instance", "vibebox_scheduling_lag_seconds")
                + f" > {t.LAG_SECONDS}",
                "Threads of {{ $labels.instance }} wake up late",
                'One wake-up in 100 was {{ $value | printf "%.2f" }} s late or more in the past '
                "5 minutes: the CPU is short, or something holds the interpreter's lock.",
                "telemetry",
            ),
            Alert(
                "RequestThreadsSaturated",
                "warning",
                "application",
                "2m",
                ratio(
                    _THREADS.format(select("vibebox_worker_threads", 'state="busy"')),
                    _THREADS.format(select("vibebox_worker_threads", 'state="total"')),
                    f"> {t.THREADS_RATIO}",
                ),
                "{{ $labels.instance }} has hardly a request thread left",
                f"{_PERCENT} of its request threads are busy; further requests wait.",
                "api-performance",
            ),
            Alert(
                "WorkersDying",
                "warning",
                "application",
                "5m",
                f"{_EXITS} > {t.WORKER_EXITS}",
                "Workers of {{ $labels.instance }} die again and again",
                '{{ $value | printf "%.0f" }} workers hung, crashed or were killed in the past '
                "10 minutes.",
                "telemetry",
            ),
        ),
    ),
)
