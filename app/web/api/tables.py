"""Answers as CSV, for spreadsheets."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

from flask import Response, request

CSV = "text/csv"
# What spreadsheets take for the beginning of a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def wants_csv(format: str | None) -> bool:
    """Tell whether CSV is asked for, by a query's `format` or else the header Accept."""
    if format is not None:
        return format == "csv"
    return request.accept_mimetypes.best_match(["application/json", CSV]) == CSV


def csv_answer(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """Return rows as CSV; no text of theirs is taken for a formula."""
    written = StringIO()
    table = csv.DictWriter(written, columns)
    table.writeheader()
    table.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return Response(written.getvalue(), mimetype=CSV)


def _harmless(value: Any) -> Any:
    is_formula = isinstance(value, str) and value.startswith(_FORMULAS)
    return f"'{value}" if is_formula else value
