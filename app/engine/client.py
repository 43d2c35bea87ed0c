"""The SDK's low-level client, with our transport and deadlines, at a version both sides speak."""

from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

from docker import APIClient
from docker.errors import APIError
from requests import Response
from urllib3.exceptions import ProtocolError

from app.core.deadline import required
from app.core.errors import EngineError
from app.core.trace_context import traceparent
from app.engine.hijacking import Refused, hijack
from app.engine.transport import DeadlineSocket, EngineAdapter, dial, keep_alive, parse_host

_OLDEST_VERSION = (1, 41)  # Docker Engine 20.10
# What the SDK was written for. Asking for more gains nothing and risks changed answers; an engine
# that no longer speaks it is asked in the oldest version that it does speak.
_PREFERRED_VERSION = (1, 44)


class EngineClient(APIClient):
    """An `APIClient` for one engine; no I/O until the first request.

    Use it inside of `deadline.within` only: each request gets what is left of the deadline.
    """

    def __init__(self, host: str, version: str) -> None:
        address = self._address = parse_host(host)
        # The SDK must not look for the socket itself, so it is given a name that is never dialled.
        netloc = "localhost:2375" if isinstance(address, str) else host.strip()[len("tcp://") :]
        super().__init__(base_url=f"http://{netloc}", version=version)
        self.trust_env = False  # no proxy and no ~/.netrc between us and the engine
        for adapter in self.adapters.values():
            adapter.close()
        self.adapters.clear()
        self.mount("http://", EngineAdapter(address))

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """Send a request under the deadline. Raises APIError for an error status.

        Raised here because the SDK's own way breaks on error bodies that are not its JSON.
        """
        kwargs["timeout"] = required()
        if traced := _headers_of_trace():
            kwargs["headers"] = {**(kwargs.get("headers") or {}), **traced}
        response = super().request(*args, **kwargs)
        if response.status_code < 400:
            return response
        with response:
            raise _refusal(response)

    def image_details(self, image: str) -> dict[str, Any]:
        """Return what the engine says about a local image."""
        details: dict[str, Any] = self.inspect_image(image)  # type: ignore[no-untyped-call]
        return details

    def create_from(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        """Create a container from a request body and return the engine's answer."""
        answer: dict[str, Any] = self.create_container_from_config(  # type: ignore[no-untyped-call]
            body, name=name
        )
        return answer

    def update_from(self, container: str, body: dict[str, Any]) -> None:
        """Change a container's limits; the SDK's own way knows no `NanoCpus`."""
        self.post(f"{self._root}/containers/{container}/update", json=body)

    def start_pull(
        self, parameters: Mapping[str, str], connecting: Callable[[DeadlineSocket], None]
    ) -> tuple[DeadlineSocket, HTTPResponse]:
        """Begin to pull an image; return as `follow` does, with the messages about it."""
        return self.follow("/images/create", parameters, connecting, method="POST")

    def start_exec(self, exec_id: str) -> Response:
        """Start an exec and return its output as a stream of Docker frames; close it after use.

        The SDK's `exec_start` waits for output without any time-out, and loses output that comes
        in one packet with the headers. Without its Upgrade header the engine answers with a plain
        body that ends with the connection, which any HTTP client reads.
        """
        url = f"{self._root}/exec/{exec_id}/start"
        return self.post(url, json={"Detach": False, "Tty": False}, stream=True)

    def attach_exec(self, exec_id: str) -> tuple[DeadlineSocket, bytes]:
        """Start an exec that has a tty; return its connection, and output that came already.

        Raises: APIError for an error status, ProtocolError for a lost connection.
        """
        connection = dial(self._address)
        try:
            keep_alive(connection)
            path = f"/v{self.api_version}/exec/{exec_id}/start"
            body = {"Detach": False, "Tty": True}
            return connection, hijack(connection, path, body, _headers_of_trace())
        except Refused as error:
            connection.close()
            raise _refusal(error.response) from None
        except BaseException:
            connection.close()
            raise

    def follow(
        self,
        path: str,
        parameters: Mapping[str, str],
        connecting: Callable[[DeadlineSocket], None] | None = None,
        *,
        method: str = "GET",
    ) -> tuple[DeadlineSocket, HTTPResponse]:
        """Send a request on a connection of its own and return both once the headers are there.

        Not through the pool: such a connection lives for hours, and another thread may have to
        shut it down; `connecting` is given it before the engine is asked.
        Raises: APIError for an error status, ProtocolError for a lost connection.
        """
        connection = dial(self._address)
        try:
            keep_alive(connection)
            if connecting is not None:
                connecting(connection)
            return connection, self._headers(connection, method, path, parameters)
        except BaseException:
            connection.close()
            raise

    def _headers(
        self, connection: DeadlineSocket, method: str, path: str, parameters: Mapping[str, str]
    ) -> HTTPResponse:
        http = HTTPConnection("localhost")
        http.sock = connection
        try:
            # What is followed lasts: the engine's own span would make any trace as long.
            headers = _headers_of_trace() if method == "POST" else {}
            target = f"/v{self.api_version}{path}?{urlencode(parameters)}"
            http.request(method, target, headers=headers)
            answer = http.getresponse()
            if answer.status < 400:
                return answer
            with answer:
                refusing = _as_response(answer)
        except (HTTPException, OSError) as error:
            raise ProtocolError("no answer to follow", error) from error
        raise _refusal(refusing)

    @property
    def _root(self) -> str:
        return f"{self.base_url}/v{self.api_version}"


def connect(host: str) -> EngineClient:
    """Return a client that speaks a version the engine speaks; asks the engine for it.

    Raises: EngineError when there is no such version, and whatever the transport raises.
    """
    with EngineClient(host, _text(_OLDEST_VERSION)) as scout:
        answer = scout.version(api_version=False)
    try:
        newest = _number(answer["ApiVersion"])
        oldest = _number(answer.get("MinAPIVersion") or answer["ApiVersion"])
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError("Docker Engine did not say which API versions it speaks.") from error
    if newest < _OLDEST_VERSION:
        raise EngineError("Docker Engine is too old; the operator upgrades it to 20.10 or later.")
    return EngineClient(host, _text(max(oldest, min(newest, _PREFERRED_VERSION))))


def _headers_of_trace() -> dict[str, str]:
    """Return what tells the engine of the trace that a call belongs to; nothing without one."""
    header = traceparent()
    return {} if header is None else {"traceparent": header}


def _refusal(response: Response) -> APIError:
    return APIError(
        f"{response.status_code} {response.reason}",
        response=response,
        explanation=_explanation(response),
    )


def _as_response(answer: HTTPResponse) -> Response:
    """Return what the SDK's errors want to hold."""
    response = Response()
    response.status_code, response.reason = answer.status, answer.reason
    response.raw = BytesIO(answer.read())
    return response


def _explanation(response: Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, TypeError, KeyError):
        return response.text.strip()


def _number(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
