"""Fingerprints are those of Alertmanager, and a name means the alert that fires."""

from datetime import UTC, datetime

from app.domain.alerts.known import fingerprint, of_rules
from app.stores.prometheus import Firing, Rule

# Of a real Alertmanager: see tests/end_to_end/test_explained.py, which holds it equal too.
_BEGAN = datetime(2026, 1, 31, tzinfo=UTC)


def firing(value: float, **labels: str) -> Firing:
    return Firing({"alertname": "A", **labels}, {}, _BEGAN, value)


def test_fingerprint_depends_on_every_label_and_not_on_their_order() -> None:
    marks = {
        fingerprint(labels)
        for labels in ({"a": "b", "c": "d"}, {"c": "d", "a": "b"}, {"a": "bc", "": "d"}, {})
    }
    assert len(marks) == 3
    assert fingerprint({}) == "cbf29ce484222325"  # the offset of FNV-1a


def test_name_means_the_worst_that_fires_and_a_fingerprint_the_one() -> None:
    mild, bad = firing(1, route="/x"), firing(5, route="/y")
    rules = [Rule("R", "x", False), Rule("A", "x > 0", True, (mild, bad))]

    by_name = of_rules(rules, "A")
    by_mark = of_rules(rules, fingerprint(mild.labels))

    assert by_name is not None and by_name.labels == bad.labels
    assert by_mark is not None and by_mark.labels == mild.labels
    assert of_rules(rules, "R") is None and of_rules(rules, "B") is None


def test_alert_that_does_not_fire_is_known_by_its_name() -> None:
    known = of_rules([Rule("A", "x > 0", True)], "A")

    assert known is not None and not known.firing
