"""What the server refuses without asking the application: told, logged and counted all the same.

It is a request of no route (`unmatched`), answered in the shape of every other problem.
"""

import uuid
from email.utils import formatdate
from http import HTTPStatus

from app.core.context import NOTHING, Context, context
from app.core.errors import VibeBoxError
from app.web.problems import problem
from app.web.request_log import HEADER
from prefork_metrics.exchange import Exchanges

_HEAD = "HEAD"


class Refusals:
    """Answers in the name of the application whose exchanges are given."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges

    def answer(
        self, error: VibeBoxError, method: str, path: str, seen_as: str | None = None
    ) -> bytes:
        """Return the whole response to a request that is refused.

        `method` and `path` as far as they are known. `seen_as` is the request id where the
        application has counted the request and could not answer it.
        """
        id = seen_as or uuid.uuid4().hex
        context.set(Context(id))
        try:
            response = _response(error, id, head=method == _HEAD)
            if seen_as is None:
                self._exchanges.note(method, path, error.status, error.slug, id)
        finally:
            context.set(NOTHING)
        return response


def _response(error: VibeBoxError, id: str, *, head: bool) -> bytes:
    """Return the bytes of the response, which is the last of its connection."""
    told = problem(error.status, error.slug, error.title, error.detail, error.extensions)
    body = told.get_data()
    headers = {
        "Date": formatdate(usegmt=True),
        "Connection": "close",
        **told.headers,
        HEADER: id,
        "Content-Length": str(len(body)),
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if head else body)
