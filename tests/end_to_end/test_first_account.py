"""A server on which nobody may register prints a link for the first account, once."""

import re

import pytest
import requests

from tests.conftest import WebServerFactory
from tests.end_to_end.api import PASSWORD
from tests.end_to_end.at_once import Request, send

pytestmark = pytest.mark.end_to_end
_LINK = re.compile(r"/sign-in#invitation=(vbx_in_[\w-]+)")


def test_first_account_is_made_once_by_the_printed_link(web_server: WebServerFactory) -> None:
    server = web_server({"VIBEBOX_REGISTRATION": "closed"})
    (token,) = _LINK.findall(server.log.read_text())
    url = f"{server.url}/api/v1"

    def register(name: str) -> Request:
        body = {"email": f"{name}@example.org", "password": PASSWORD, "invitation": token}
        return ("POST", f"{url}/auth/register", body)

    answers = send([register(f"u{number}") for number in range(8)])
    assert sorted(answer.status_code for answer in answers) == [201, *[403] * 7]
    made = next(answer.json() for answer in answers if answer.status_code == 201)
    login = {"email": made["email"], "password": PASSWORD}
    tokens = requests.post(f"{url}/auth/login", json=login, timeout=10).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert requests.get(f"{url}/accounts", headers=bearer, timeout=10).json()["total"] == 1
    metric = "vibebox_registrations_total"
    assert server.metric(metric, way="first", outcome="created") == 1
    refused = server.metric(metric, way="first", outcome="refused")
    assert refused + server.metric(metric, way="invitation", outcome="refused") == 7

    server.terminate()
    server.start()
    assert _LINK.findall(server.log.read_text()) == [token]
