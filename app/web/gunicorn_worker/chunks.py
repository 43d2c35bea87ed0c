"""A body in chunks, whose mistakes are the client's and not a failure of the application."""

from typing import Any

from gunicorn.http.errors import ParseException

from app.web.gunicorn_worker.refusals import refusal


class ClientChunks:
    """Reads what gunicorn's reader of chunks reads."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes. Raises: MalformedRequestError, HeadersTooLargeError."""
        try:
            data: bytes = self._reader.read(size)
        except ParseException as error:
            raise refusal(error) or error from error
        return data
