"""The public API as the commands use it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Self
from urllib.parse import quote

from app.cli.client.credentials import Bearer, KeyBearer, LoginBearer
from app.cli.client.errors import ProblemError
from app.cli.client.store import Store
from app.cli.client.transport import OPERATION_SECONDS, READ_SECONDS, Transport

_PAGE = 100


class Api:
    """Calls in the name of whoever is logged in at `url`, or of the API key `key`."""

    def __init__(
        self, url: str, key: str | None = None, seconds: float | None = None, hasty: bool = False
    ) -> None:
        """`seconds` caps the deadline of each call; `hasty` renews no token unless it is refused.

        Tokens are renewed without that cap: whoever does not wait for the answer loses the login.
        """
        self.url = url
        self.key = key
        self.store = Store()
        self._transport = Transport(url, seconds)
        self._renewing = Transport(url)
        self.bearer: Bearer = (
            KeyBearer(key)
            if key
            else LoginBearer(self.store, self._renewing, trust_expiry=not hasty)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self._transport.close()
        self._renewing.close()

    def anonymous(self, method: str, path: str, body: Any) -> Any:
        """Call without credentials. Raises: as `get`."""
        return self._transport.send(method, path, body=body)

    def get(self, path: str, **query: Any) -> Any:
        """Raises: ProblemError, UnreachableError; RefusedError where nobody is logged in."""
        return self._send("GET", path, query=query)

    def post(self, path: str, body: Any = None) -> Any:
        """Send JSON, or bytes as they are. Raises: as `get`."""
        return self._send("POST", path, body=body, seconds=OPERATION_SECONDS)

    def put(self, path: str, body: Any) -> Any:
        """Raises: as `get`."""
        return self._send("PUT", path, body=body, seconds=OPERATION_SECONDS)

    def patch(self, path: str, body: Any) -> Any:
        """Raises: as `get`."""
        return self._send("PATCH", path, body=body, seconds=OPERATION_SECONDS)

    def delete(self, path: str) -> Any:
        """Raises: as `get`."""
        return self._send("DELETE", path, seconds=OPERATION_SECONDS)

    def all(self, path: str, *, key: Sequence[str] = ("id",), **query: Any) -> dict[str, Any]:
        """Return all pages of a list as one page of the same shape, with what else the last one
        says. Raises: as `get`.

        `key` are the members that tell two items apart.
        """
        found: dict[tuple[Any, ...], Any] = {}
        read = total = 0
        while read == 0 or read < total:
            page = self.get(path, **query, limit=_PAGE, offset=read)
            # By key, since what is made meanwhile moves others to the next page.
            found.update((tuple(item[name] for name in key), item) for item in page["items"])
            read, total = read + len(page["items"]), page["total"]
            if not page["items"]:
                break
        items = list(found.values())
        size = {"total": len(items), "limit": max(_PAGE, len(items)), "offset": 0}
        return {**page, "items": items, **size}

    def checks(self) -> dict[str, str]:
        """Return what the service's checks say; nothing where that cannot be known."""
        return self._transport.checks()

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Read server-sent events to their end, as name and data. Raises: as `get`."""
        token = self.bearer.token()
        name = ""
        for line in self._transport.lines(path, token=token, seconds=READ_SECONDS):
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)

    def _send(self, method: str, path: str, **details: Any) -> Any:
        token = self.bearer.token()
        try:
            return self._transport.send(method, path, token=token, **details)
        except ProblemError as error:
            # The clocks differ, or the token was revoked.
            fresh = self.bearer.renewed(token) if error.slug == "invalid-token" else None
            if fresh is None:
                raise
        return self._transport.send(method, path, token=fresh, **details)


def one(environment_id: str) -> str:
    """Return the path of an environment."""
    return f"/environments/{quote(environment_id, safe='')}"
