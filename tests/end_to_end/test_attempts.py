"""Limits of authentication over four workers that share a Redis, and without it."""

from collections import Counter

import pytest
import requests

from tests.backends.programs import wait_until
from tests.backends.redis import Redis
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import PASSWORD, Api
from tests.end_to_end.at_once import Request, send

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def server(web_server: WebServerFactory, redis: Redis) -> WebServer:
    redis.clear()
    return web_server(
        {
            "VIBEBOX_RATE_LIMIT_STORAGE": redis.url,
            "VIBEBOX_RATE_LIMIT_ACCOUNT": "10 per hour",
            "VIBEBOX_RATE_LIMIT_ADDRESS": "25 per hour",
            "VIBEBOX_TRUSTED_PROXIES": "1",
        },
        workers=4,
        threads=64,  # room for all ten passwords, and as many again, in one worker
    )


def failures(server: WebServer, method: str) -> float:
    return server.metric("vibebox_auth_attempts_total", method=method, status="failure")


def test_limits_hold_over_all_workers(server: WebServer) -> None:
    url = f"{server.url}/api/v1/auth"
    login: Request = ("POST", f"{url}/login", {"email": "a@example.org", "password": "wrong"})

    answers = send([login] * 40)

    assert Counter(answer.status_code for answer in answers) == {401: 10, 429: 30}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert failures(server, "password") == 40

    # 10 of the 25 attempts of this address are used up; what an account is refused does not count.
    token: Request = ("GET", f"{url}/me", None)
    answers = send([token] * 40, "vbx_at_unknown")
    assert Counter(answer.status_code for answer in answers) == {401: 15, 429: 25}
    assert failures(server, "token") == 40
    assert all(requests.get(f"{server.url}/health/live", timeout=5).ok for _ in range(30))

    # The server trusts a proxy; who forges what that proxy would say reads no metrics.
    forged = {"X-Forwarded-For": "127.0.0.1"}
    metrics = requests.get(f"{server.url}/health/metrics", headers=forged, timeout=5)
    assert metrics.status_code == 403


@pytest.mark.parametrize("fault", ["stopped", "hung"])
def test_without_redis_logins_go_on_and_are_limited(
    server: WebServer, redis: Redis, fault: str
) -> None:
    def logged(text: str) -> bool:
        return any(text in line.get("event", "") for line in server.log_lines())

    with Api(server.url) as api:
        api.register("b@example.org")
        redis.stop() if fault == "stopped" else redis.suspend()

        answers = [api.login("b@example.org", PASSWORD) for _ in range(5)]

        assert {answer.status_code for answer in answers} == {200}
        assert max(answer.elapsed.total_seconds() for answer in answers) < 10
        assert logged("falling back to in-memory storage")
        reasons = {line["why"] for line in server.log_lines() if "falling back" in line["event"]}
        assert all(("refused" if fault == "stopped" else "imeout") in why for why in reasons)
        redis.heal()

        def recovered() -> bool:
            api.login("nobody@example.org", "wrong")
            return logged("Rate limit storage recovered")

        wait_until(recovered, 30, interval=0.3)
