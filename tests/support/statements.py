"""Statements are compiled once in a test process, not anew for each of a thousand databases.

SQLAlchemy finds what it has compiled by the statement and by the dialect, of which each engine has
one of its own; those of one kind of database compile alike.
"""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

_MOST = 2000
"""Statements: more than the product has."""
_compiled: LRUCache[Any, Any] = LRUCache(_MOST)


def _alike(one: DefaultDialect, other: Any) -> bool:
    return type(one) is type(other) and one.server_version_info == other.server_version_info


def _kind(one: DefaultDialect) -> int:
    return hash(type(one))


def _share(engine: Engine) -> None:
    engine._compiled_cache = _compiled


def compile_once() -> None:
    """Have it so in this process."""
    changes = {"__eq__": _alike, "__hash__": _kind, "engine_created": staticmethod(_share)}
    for name, change in changes.items():
        setattr(DefaultDialect, name, change)
