"""Requests to the service at one address: deadlines, and failures as errors with a next step."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from app._version import __version__
from app.cli.client.errors import AwayError, ProblemError, UnreachableError

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
CHECK_SECONDS = 3.0
# The service gives a container's start two minutes of its own.
OPERATION_SECONDS = 180.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _Bearer(AuthBase):
    """Without an `auth` of ours requests would take one from ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """Sends requests to `url`; close it after use."""

    def __init__(self, url: str, seconds: float | None = None) -> None:
        """`seconds` caps the deadline of each request."""
        self.url = url
        self._cap = seconds
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"vibebox/{__version__}"
        # A proxy that the environment names is for other hosts than this one.
        self._session.trust_env = urlsplit(url).hostname not in LOOPBACK

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        query: dict[str, Any] | None = None,
        seconds: float = READ_SECONDS,
    ) -> Any:
        """Return the JSON of a successful answer, None where it has no body.

        Raises: ProblemError, AwayError, UnreachableError.
        """
        with self._request(method, path, token, body, query, seconds) as response:
            if response.status_code == 204:
                return None
            return self._parsed(response)

    def checks(self) -> dict[str, str]:
        """Return what the service's checks say, "up" or "down" by name.

        Nothing where that cannot be known: a proxy may keep it back. It fails no command.
        """
        deadline = CHECK_SECONDS if self._cap is None else min(CHECK_SECONDS, self._cap)
        try:
            answer = self._session.get(
                f"{self.url}/health/ready",
                auth=_Bearer(None),
                timeout=deadline,
                allow_redirects=False,
            )
            return {name: check["status"] for name, check in answer.json()["checks"].items()}
        except (requests.RequestException, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def lines(self, path: str, *, token: str | None, seconds: float) -> Iterator[str]:
        """Read a stream line by line; `seconds` is the longest silence. Raises: as `send`."""
        with self._request("GET", path, token, None, None, seconds, stream=True) as response:
            for line in response.iter_lines(decode_unicode=True):
                yield line if isinstance(line, str) else line.decode(errors="replace")

    @contextmanager
    def _request(
        self,
        method: str,
        path: str,
        token: str | None,
        body: Any,
        query: dict[str, Any] | None,
        seconds: float,
        *,
        stream: bool = False,
    ) -> Iterator[requests.Response]:
        deadline = seconds if self._cap is None else min(seconds, self._cap)
        try:
            with self._session.request(
                method,
                f"{self.url}/api/v1{path}",
                json=None if isinstance(body, bytes) else body,
                data=body if isinstance(body, bytes) else None,
                params={k: v for k, v in (query or {}).items() if v is not None},
                auth=_Bearer(token),
                timeout=(min(CONNECT_SECONDS, deadline), deadline),
                allow_redirects=False,
                stream=stream,
            ) as response:
                if not 200 <= response.status_code < 300:
                    raise self._problem(response)
                yield response
        except requests.RequestException as error:
            raise self._translated(error, deadline) from error

    def _problem(self, response: requests.Response) -> Exception:
        if response.headers.get("Content-Type", "").startswith("application/problem+json"):
            return ProblemError(self._parsed(response), response.status_code)
        if response.status_code in (502, 503, 504):
            return AwayError(
                f"A proxy before {self.url} answers {response.status_code}.",
                "The service behind it may be starting; try again in a few seconds.",
            )
        return self._stranger(f"with status {response.status_code}")

    def _parsed(self, response: requests.Response) -> Any:
        try:
            return json.loads(response.content)
        except ValueError:
            raise self._stranger("without JSON") from None

    def _stranger(self, how: str) -> UnreachableError:
        return UnreachableError(
            f"Something answers at {self.url}, {how}: it is not VibeBox.",
            "Name the address of VibeBox with --url or VIBEBOX_URL.",
        )

    def _translated(self, error: requests.RequestException, seconds: float) -> UnreachableError:
        if isinstance(error, requests.exceptions.SSLError):
            return UnreachableError(
                f"The certificate of {self.url} is not trusted.",
                "Set REQUESTS_CA_BUNDLE to the file of the authority that signed it.",
            )
        if isinstance(error, requests.Timeout):
            return AwayError(
                f"{self.url} did not answer within {seconds:g} seconds.",
                "What was asked for may still be carried out: look with `vibebox ls`.",
            )
        if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            return AwayError(
                f"No VibeBox answers at {self.url}.",
                "Start it with `vibebox run`, or name its address with --url or VIBEBOX_URL.",
            )
        return UnreachableError(
            f"{self.url} is no address that can be asked.",
            "Name the address of VibeBox with --url or VIBEBOX_URL, as http://HOST:PORT.",
        )
