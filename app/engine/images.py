"""The door's operations on images."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing

from docker.errors import APIError

from app.engine.answers import MessageSplitter
from app.engine.calls import EngineCalls
from app.engine.containers import identifier
from app.engine.pulling import PullTracker, is_named_by_user, pull_failure, pull_parameters
from app.engine.values import PullProgress
from app.errors import EngineError, EngineTimeoutError, ImageMissingError, ImagePullError

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

    def pull(self, image: str, progress: Callable[[PullProgress], None] | None = None) -> None:
        """See `Engine.pull`."""
        if not _IMAGE.fullmatch(image):
            raise ImagePullError(image)
        # The caller's code runs outside of the generator: its errors are not Docker's, and are
        # not translated. Closing the generator closes the connection.
        with closing(self._pulling(image)) as steps:
            for step in self._until_late(image, steps):
                if progress is not None:
                    progress(step)

    def _until_late(self, image: str, steps: Iterable[PullProgress]) -> Iterator[PullProgress]:
        """Yield the steps; a time-out that is not the engine's is told as the registry's.

        Raises: ImagePullError where the registry is one that the image names.
        """
        try:
            yield from steps
        except EngineTimeoutError as error:
            if is_named_by_user(image) and self._answers():
                raise ImagePullError(image, silent=True) from error
            raise

    def _answers(self) -> bool:
        try:
            self.ping()
        except EngineError:
            return False
        return True

    def _pulling(self, image: str) -> Generator[PullProgress]:
        tracker, messages = PullTracker(image), MessageSplitter("a pull")
        with self._call(self._pull_timeout) as client:
            try:
                response = client.start_pull(pull_parameters(image))
            except APIError as error:
                raise pull_failure(image, error) from error
            with response:
                for chunk in response.iter_content(None):
                    for message in messages.feed(chunk):
                        if tracker.take(message):
                            yield tracker.progress
                messages.feed(b"\n")  # what came without an end is no message, and an error
