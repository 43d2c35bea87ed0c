"""Plain HTTP to the services under test."""

from collections.abc import Mapping

import requests


def get(
    url: str,
    params: Mapping[str, str] | None = None,
    timeout: float = 30,
    headers: Mapping[str, str] | None = None,
) -> requests.Response:
    """GET the URL over a connection of its own, never through a proxy of the environment."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, params=params, timeout=timeout, headers=headers)


def request(method: str, url: str, timeout: float = 30) -> requests.Response:
    """Send a request of any method, as `get` does."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=timeout)


def answers(url: str) -> bool:
    """Tell whether a GET of the URL gives 200 now."""
    try:
        return get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False
