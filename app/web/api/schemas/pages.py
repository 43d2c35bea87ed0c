"""Pages of a list: the query that asks for one, and the answer, which is the same for all lists."""

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from flask import Response, jsonify
from pydantic import BaseModel, Field

from app.domain.paging import Item, Page

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


class Asked(Protocol):
    """A query with the bounds of a page."""

    limit: int
    offset: int


def shown(view: type[BaseModel], item: Any) -> dict[str, Any]:
    """Return what an answer shows of an item, as `view` describes it."""
    return view.model_validate(item).model_dump(mode="json")


def paged(page: Page[Item], show: Callable[[Item], dict[str, Any]], query: Asked) -> Response:
    """Return the answer with a page, each item as `show` makes it."""
    items = [show(item) for item in page.items]
    return jsonify(items=items, total=page.total, limit=query.limit, offset=query.offset)
