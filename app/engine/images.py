"""The gateway's operations on images."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPException, HTTPResponse

from docker.errors import APIError

from app.core.errors import (
    EngineError,
    EngineTimeoutError,
    ImageMissingError,
    ImagePullError,
    PullCutError,
)
from app.engine.answers import MessageSplitter
from app.engine.calls import EngineCalls
from app.engine.containers import identifier
from app.engine.cutting import Cut
from app.engine.pulling import PullTracker, is_named_by_user, pull_failure, pull_parameters
from app.engine.translation import connection_lost
from app.engine.values import PullProgress

_CHUNK = 64 * 1024
# A reference becomes part of a path of the engine's API.
_IMAGE = re.compile(r"[A-Za-z0-9](?:[\w:@-]|[./](?!\.|/))*", re.ASCII)


class Images(EngineCalls):
    """Images that the engine holds, or shall hold."""

    def inspect_image(self, image: str) -> str:
        """See `Engine.inspect_image`."""
        if not _IMAGE.fullmatch(image):
            raise ImageMissingError(image)
        with self._call(self._query_timeout, image) as client:
            return identifier(client.image_details(image))

    def pull(
        self,
        image: str,
        progress: Callable[[PullProgress], None] | None = None,
        cut: Cut | None = None,
    ) -> None:
        """See `Engine.pull`."""
        if not _IMAGE.fullmatch(image):
            raise ImagePullError(image)
        # The caller's code runs outside of the generator: its errors are not Docker's, and are
        # not translated. Closing the generator closes the connection.
        cut = cut or Cut()
        with closing(self._pulling(image, cut)) as steps:
            for step in self._until_late(image, cut, steps):
                if progress is not None:
                    progress(step)

    def _until_late(
        self, image: str, cut: Cut, steps: Iterable[PullProgress]
    ) -> Iterator[PullProgress]:
        """Yield the steps; a time-out that is not the engine's is told as the registry's.

        Raises: ImagePullError where the registry is one that the image names, PullCutError.
        """
        try:
            yield from steps
        except EngineError as error:
            if cut.done:
                raise PullCutError from error
            late = isinstance(error, EngineTimeoutError)
            if late and is_named_by_user(image) and self._answers():
                raise ImagePullError(image, silent=True) from error
            raise

    def _answers(self) -> bool:
        try:
            self.ping()
        except EngineError:
            return False
        return True

    def _pulling(self, image: str, cut: Cut) -> Generator[PullProgress]:
        tracker, messages = PullTracker(image), MessageSplitter("a pull")
        with self._call(self._pull_timeout) as client, ExitStack() as stack:
            try:
                connection, response = client.start_pull(pull_parameters(image), cut.connecting)
            except APIError as error:
                raise pull_failure(image, error) from error
            stack.callback(connection.close)
            stack.callback(response.close)
            stack.callback(cut.over)
            for chunk in iter(lambda: _next(response), b""):
                for message in messages.feed(chunk):
                    if tracker.take(message):
                        yield tracker.progress
            messages.feed(b"\n")  # what came without an end is no message, and an error


def _next(response: HTTPResponse) -> bytes:
    """Return what came next of an answer, b"" at its end."""
    try:
        return response.read1(_CHUNK)
    except (HTTPException, ConnectionError) as error:
        raise connection_lost() from error
