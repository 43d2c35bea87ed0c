"""What a bundle is made of, and how a part of it says why it cannot be had."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.settings import Settings
from app.doctor.answer import Examination
from app.storage import Database
from app.stores.build import Stores


class MissingError(Exception):
    """A part cannot be had, for a reason that an operator understands."""


@dataclass(frozen=True)
class Subject:
    """The installation, as far as it can be used; `settings` None: they are not valid."""

    found: Examination
    log_files: tuple[Path, ...] = ()
    settings: Settings | None = None
    database: Database | None = None
    stores: Stores | None = None


def told(ask: Callable[[], list[dict[str, Any]]]) -> Any:
    """Return the list, or why there is none: one of several does not hide the other."""
    try:
        return ask()
    except Exception as error:
        return {"missing": reason(error)}


def reason(error: Exception) -> str:
    """Return why a part cannot be had."""
    detail = getattr(error, "detail", None)
    return str(detail or error or type(error).__name__)


def document(value: Mapping[str, Any]) -> str:
    """Return it as JSON, for people."""
    return json.dumps(value, indent=2, default=str) + "\n"
