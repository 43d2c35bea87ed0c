"""A family without its values: what an encoder can prepare once."""

from typing import NamedTuple

Labels = tuple[tuple[str, str], ...]


class Outline(NamedTuple):
    """A family as an encoder needs it: everything but the values."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[str, Labels], ...]
