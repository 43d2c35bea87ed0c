"""The service as the tests start it."""

import signal

import pytest

from tests.backends.programs import ServiceError
from tests.conftest import WebServerFactory

pytestmark = pytest.mark.end_to_end


def test_serves_until_told_to_stop(web_server: WebServerFactory) -> None:
    server = web_server({"VIBEBOX_DOCKER_REQUIRED": "false"}, workers=2, threads=2)
    assert len(server.worker_pids()) == 2
    assert server.metrics()
    assert server.metric("vibebox_no_such_metric") == 0.0
    assert server.terminate() == 0
    assert any(line.get("event") == "listening" for line in server.log_lines())


def test_reload_replaces_the_worker(web_server: WebServerFactory) -> None:
    server = web_server(workers=1)
    (before,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for_workers(lambda pids: len(pids) == 1 and before not in pids)
    server.wait_live()


def test_wrong_setting_is_reported_with_the_log(web_server: WebServerFactory) -> None:
    with pytest.raises(ServiceError, match="VIBEBOX_THREADS"):
        web_server({"VIBEBOX_THREADS": "many"}, migrate=False)
