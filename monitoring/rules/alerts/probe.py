"""The alert on the synthetic user: what the service's own numbers cannot show."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import select
from monitoring.rules.rule import Alert, Group

_FAILED = f"max by (job, step) ({select('vibebox_probe_failed_step')}) == 1"
_MISSED = (
    f"max by (job) ({select('vibebox_probe_last_success_age_seconds')})\n"
    f"> {t.PROBE_ROUNDS} * max by (job) ({select('vibebox_probe_interval_seconds')})"
)

GROUPS = (
    Group(
        "synthetic-user",
        (
            Alert(
                "SyntheticUserFailing",
                "critical",
                "probe",
                "1m",
                f"{_FAILED}\nand on (job)\n({_MISSED})",
                "The synthetic user does not come through",
                "It signs in, creates, starts, uses and deletes an environment by the public "
                f"address, and has not come through all of it for {t.PROBE_ROUNDS} rounds. The "
                "step at which the last one failed: {{ $labels.step }} (none: no round comes).",
                "slo",
            ),
        ),
    ),
)
