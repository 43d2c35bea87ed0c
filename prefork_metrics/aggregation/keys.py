"""The keys of the files' entries, parsed once for all files that hold them."""

import json
import math
from collections.abc import Iterable

from prefork_metrics.outline import Labels


class BadFileError(Exception):
    """A file that cannot be used now; the message says what is wrong with it."""


class Key:
    """A sample of one process. Compared and hashed by identity, which is why `Keys` makes them.

    Attributes: family, name, labels (sorted), help; bound: that of a histogram's bucket (NaN where
    the label `le` is no number), else None.
    """

    __slots__ = ("bound", "family", "help", "labels", "name")

    def __init__(self, family: str, name: str, labels: dict[str, str], help: str) -> None:
        self.family = family
        self.name = name
        self.labels: Labels = tuple(sorted(labels.items()))
        self.help = help
        self.bound = _bound(labels["le"]) if "le" in labels else None


class Keys:
    """Every key seen; `parsed` counts how many times one was parsed, for tests and curiosity."""

    def __init__(self) -> None:
        self._keys: dict[bytes, Key] = {}
        self.parsed = 0

    def __len__(self) -> int:
        return len(self._keys)

    def parse(self, raw: bytes) -> Key:
        """Return the one object for `raw`. Raises: BadFileError."""
        key = self._keys.get(raw)
        if key is None:
            self.parsed += 1
            key = self._keys[raw] = _parse(raw)
        return key

    def keep(self, used: Iterable[Key]) -> None:
        """Drop all keys but these."""
        kept = set(used)
        self._keys = {raw: key for raw, key in self._keys.items() if key in kept}


def _parse(raw: bytes) -> Key:
    try:
        family, name, labels, help = json.loads(raw.decode())
        texts = [family, name, help, *labels, *labels.values()]
        if not family or not all(isinstance(text, str) for text in texts):
            raise BadFileError("garbled: a key is not of the known form")
        # Half a surrogate pair is valid JSON, but no encoder can write it out.
        "".join(texts).encode()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadFileError("garbled: a key is not of the known form") from error
    return Key(family, name, labels, help)


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
