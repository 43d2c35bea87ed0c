"""The alert on the synthetic user: what the service's own numbers cannot show."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import either, select
from monitoring.rules.rule import Alert, Group

_FAILING = f"max by (job, step) ({select('vibebox_probe_failing')}) == 1"
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
                # With the step that its last round failed at, where there was one.
                either(
                    f"{_FAILING}\nand on (job)\n({_MISSED})",
                    f"{_MISSED}\nunless on (job)\n({_FAILING})",
                ),
                "The synthetic user does not come through",
                "It signs in, creates, starts, uses and deletes an environment by the public "
                f"address, and has not come through all of it for {t.PROBE_ROUNDS} rounds: "
                "{{ if $labels.step }}the last one failed at the step {{ $labels.step }}."
                "{{ else }}no round comes to its end.{{ end }}",
                "slo",
            ),
        ),
    ),
)
