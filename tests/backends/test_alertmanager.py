"""The real Alertmanager and amtool."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.backends.alertmanager import Alertmanager, amtool
from tests.backends.programs import ServiceError

pytestmark = pytest.mark.integration

CONFIG = json.dumps(
    {
        "route": {"receiver": "nobody"},
        "receivers": [{"name": "nobody"}],
        "inhibit_rules": [
            {
                "source_matchers": ['severity="critical"'],
                "target_matchers": ['severity="warning"'],
                "equal": ["alertname"],
            }
        ],
    }
)


def test_holds_alerts_until_they_resolve_and_takes_another_configuration(
    alertmanager: Callable[..., Alertmanager],
) -> None:
    server = alertmanager(CONFIG, files={"token": "secret"})
    labels = {"alertname": "Slow", "severity": "warning"}
    began = datetime.now(UTC) - timedelta(minutes=5)
    server.post(labels, {"summary": "It is slow."}, starts_at=began)
    server.post({**labels, "severity": "critical"}, starts_at=began)

    (found,) = server.alerts('severity="warning"')
    assert (found["labels"], found["annotations"]) == (labels, {"summary": "It is slow."})
    assert found["status"]["inhibitedBy"]
    server.post(labels, starts_at=began, ends_at=datetime.now(UTC) - timedelta(seconds=1))
    assert [one["labels"]["severity"] for one in server.alerts()] == ["critical"]
    server.reload(CONFIG.replace("nobody", "somebody"))
    assert [one["receivers"] for one in server.alerts()] == [[{"name": "somebody"}]]
    with pytest.raises(ServiceError, match="nonsense"):
        server.reload(json.dumps({"nonsense": 1}))
    server.config_file.write_text(CONFIG)
    assert amtool("check-config", str(server.config_file)).returncode == 0


def test_wrong_configuration_is_reported_with_the_log(
    alertmanager: Callable[..., Alertmanager],
) -> None:
    with pytest.raises(ServiceError, match="nonsense"):
        alertmanager("nonsense: 1")
