"""Pages of a list, newest first: what services return, and the query that asks for one."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A page; `total` counts all that match."""

    items: list[Item]
    total: int


class PageQuery(BaseModel):
    """Which page."""

    limit: int = Field(default=20, ge=1, le=100, description="How many at most.")
    offset: int = Field(
        default=0, ge=0, le=2**31, description="How many of the newest to leave out."
    )
