"""There is a fault for every alert, or a reason."""

from tests.end_to_end.alerts.faults import FAULTS, UNMADE
from tests.monitoring.rules import ALERTS


def test_every_alert_has_a_fault_or_a_reason() -> None:
    made = {name for fault in FAULTS.values() for name in fault.fires}
    assert made.isdisjoint(UNMADE)
    assert made | set(UNMADE) == set(ALERTS)


def test_what_is_inhibited_fires() -> None:
    assert all(fault.inhibited < fault.fires or not fault.inhibited for fault in FAULTS.values())
