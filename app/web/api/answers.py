"""Answers that many routes have alike: an item as its view shows it, and a page of them."""

from collections.abc import Callable
from typing import Any, Protocol

from flask import Response, jsonify
from pydantic import BaseModel

from app.domain.paging import Item, Page


class Asked(Protocol):
    """A query with the bounds of a page."""

    limit: int
    offset: int


def shown(view: type[BaseModel], item: Any, /, **computed: Any) -> dict[str, Any]:
    """Return what an answer shows of an item, as `view` describes it.

    An item that is such a view already is shown as it is. `computed` are fields that the item does
    not have itself, such as what the caller may do with it.
    """
    return view.model_validate(item).model_copy(update=computed).model_dump(mode="json")


def paged(
    page: Page[Item], show: Callable[[Item], dict[str, Any]], query: Asked, **further: Any
) -> Response:
    """Return the answer with a page, each item as `show` makes it, and `further` members."""
    items = [show(item) for item in page.items]
    return jsonify(items=items, total=page.total, limit=query.limit, offset=query.offset, **further)
