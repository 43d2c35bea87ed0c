"""Pages of a list: the query that asks for one, and the answer, as all lists have them."""

from typing import Generic, TypeVar

from pydantic import BaseModel, Field

View = TypeVar("View", bound=BaseModel)


class PageQuery(BaseModel):
    """Which page."""

    limit: int = Field(default=20, ge=1, le=100, description="How many at most.")
    offset: int = Field(
        default=0, ge=0, le=2**31, description="How many of the newest to leave out."
    )


class PageView(BaseModel, Generic[View]):
    """A page of a list; `total` counts all that match."""

    items: list[View]
    total: int
    limit: int
    offset: int
