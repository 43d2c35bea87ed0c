"""The synthetic user: what its last round found, whoever makes them."""

from app.core.settings import Settings
from app.doctor.findings import Finding, ago, ended, failed, not_configured, ok, warning
from app.doctor.looks import Records
from app.storage.probe_state import ProbeState, state

MISSED = 3
"""Intervals without a success after which rounds are missed; the alert has the same number."""


def look(settings: Settings, records: Records) -> Finding:
    """Return where it fails, or when it has last succeeded."""
    if settings.probe == "off":
        return not_configured("VIBEBOX_PROBE is off: no synthetic user goes through the service.")
    with records.reading() as session:
        found = state(session)
    limit = MISSED * settings.probe_interval
    if found.last is None:
        return _none_yet(settings, (found.age or 0.0) > limit)
    last = found.last
    if last.step is not None:
        step = last.step.replace("_", " ")
        says = (
            f"The synthetic user fails at the step {step}{_since(found)}: {ended(last.says or '')}"
        )
        return failed(says, last.next_step or "See the log of the web server.")
    if (found.age or 0.0) > limit:
        return warning(f"{_well(found)} No round has come to its end since.", _next(settings))
    return ok(_well(found))


def _since(found: ProbeState) -> str:
    return f" ({found.failures} times in a row)" if found.failures > 1 else ""


def _well(found: ProbeState) -> str:
    return f"The synthetic user came through all steps {ago(found.age or 0.0)} ago."


def _none_yet(settings: Settings, is_late: bool) -> Finding:
    if not is_late:
        return ok("The first round of the synthetic user is awaited.")
    return warning("No round of the synthetic user has come to its end yet.", _next(settings))


def _next(settings: Settings) -> str:
    if settings.probe == "agent":
        return "See `work failed` and `work waits` in the agent's log, and restart it."
    return "See that cron runs `vibebox probe`, with the settings of the service."
