"""A pull: which request makes it, how far it is, and what its failure means."""

import re
from typing import Any

from docker.errors import APIError

from app.core.errors import EngineError, ImagePullError
from app.engine.refusals import failure
from app.engine.translation import is_version_refused
from app.engine.values import LayerProgress, PullProgress

# A registry that answered "no", in the words that Docker passes on.
_REFUSALS = (
    "manifest unknown",
    "not found",
    "no matching manifest",
    "invalid reference format",
    "invalid repository name",
    "pull access denied",
    "access to the resource is denied",
    "unauthorized",
    "no basic auth credentials",
    "cannot be used on this platform",
)
_TOO_OFTEN = "toomanyrequests"  # the users' pulls together
_REFUSING = (400, 401, 403, 404)
_DEFAULT_REGISTRIES = ("docker.io", "index.docker.io", "registry-1.docker.io")
# The engine's own, in its own words: what a registry says has the registry's code before it.
_HOST_TROUBLE = re.compile(
    r"\A(failed to register layer|write|open|mkdir|error pulling image configuration: write)[ :].*"
    r": (no space left on device|disk quota exceeded|cannot allocate memory"
    r"|too many open files( in system)?|read-only file system|input/output error)\s*\Z",
    re.DOTALL,
)

# Of a layer, 1 PiB: a registry may be anybody's and says any size, and the sum has 64 bits.
_LARGEST = 2**50
_DOWNLOADING = "Downloading"
# Once a layer is extracted Docker gives its size, also of one too small to be seen downloading.
_EXTRACTING = "Extracting"
_DOWNLOADED = ("Verifying Checksum", "Download complete", _EXTRACTING, "Pull complete")


def pull_parameters(image: str) -> dict[str, str]:
    """Return the query of POST /images/create for `image`.

    An image without a tag must get one here: the engine would fetch all tags there are.
    """
    name, at, digest = image.partition("@")
    if at:
        return {"fromImage": name, "tag": digest}
    path, slash, last = image.rpartition("/")
    last, _, tag = last.partition(":")
    return {"fromImage": path + slash + last, "tag": tag or "latest"}


def pull_failure(image: str, error: APIError) -> Exception:
    """Return what to raise when the engine refused a pull."""
    if is_version_refused(error):
        return error
    return _failure(image, error.explanation or "", error.status_code or 0)


def _failure(image: str, message: str, status: int = 0) -> EngineError:
    if _HOST_TROUBLE.search(message.lower()):
        return failure(message.lower())
    if _TOO_OFTEN in message.lower().replace(" ", ""):
        return ImagePullError(image, often=True)
    refused = status in _REFUSING or any(text in message.lower() for text in _REFUSALS)
    if refused or is_named_by_user(image):
        return ImagePullError(image, silent=not refused)
    return EngineError(
        "Docker Engine could not pull the image; its registry may be out of reach. Try again "
        "later; the operator's log has the reason."
    )


def is_named_by_user(image: str) -> bool:
    """Whether the image names its registry: who names one answers for it, whatever it says.

    That registry may be anybody's, and be made to fail; the default one is the operator's choice.
    """
    first, slash, _ = image.partition("/")
    names_one = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    return names_one and first not in _DEFAULT_REGISTRIES


class PullTracker:
    """Follows the messages of one pull; `progress` is what they come to."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, LayerProgress] = {}

    def take(self, message: dict[str, Any]) -> bool:
        """Tell whether the message changed anything.

        Raises: ImagePullError or EngineError when it says that the pull has failed.
        """
        if "error" in message or "errorDetail" in message:
            detail = message.get("errorDetail") or {}
            text = str(message.get("error") or detail.get("message"))
            raise _failure(self._image, text) from RuntimeError(text)
        status = str(message.get("status", ""))
        # The message that begins the pull has the tag where others have the layer.
        if "id" not in message or status.startswith("Pulling from"):
            return False
        layer = self._updated(str(message["id"]), status, message.get("progressDetail") or {})
        changed = self._layers.get(layer.id) != layer
        self._layers[layer.id] = layer
        return changed

    @property
    def progress(self) -> PullProgress:
        """How far the pull is."""
        layers = tuple(self._layers.values())
        return PullProgress(
            layers, sum(layer.current for layer in layers), sum(layer.total for layer in layers)
        )

    def _updated(self, layer: str, status: str, detail: dict[str, Any]) -> LayerProgress:
        known = self._layers.get(layer)
        current, total = (known.current, known.total) if known else (0, 0)
        if status in (_DOWNLOADING, _EXTRACTING):
            total = max(total, min(_LARGEST, int(detail.get("total") or 0)))
        if status == _DOWNLOADING:
            # A download that is tried again begins at nothing, which the user need not see.
            current = max(current, min(_LARGEST, int(detail.get("current") or 0)))
        if status in _DOWNLOADED:
            current = total
        return LayerProgress(layer, status, current, total)
