"""Pages of a list, newest first: what services return."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A page; `total` counts all that match."""

    items: list[Item]
    total: int
