"""Routes are compiled once in a test process, not anew for each of a thousand applications.

What werkzeug compiles of a rule without defaults is a function of the rule's text alone, and half
of what it costs to build an application. What is installed to show the OpenAPI document is looked
for once too: each look reads the metadata of all distributions.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from flask_openapi3 import openapi
from werkzeug.routing import Rule

_Builder = Callable[..., tuple[str, str]]
_compile: Callable[[Rule, bool], _Builder] = Rule._compile_builder
_compiled: dict[Any, _Builder] = {}


def _compiled_once(rule: Rule, append_unknown: bool = True) -> _Builder:
    if rule.defaults:
        return _compile(rule, append_unknown)
    # The trace holds the rule's parts, and those of its subdomain before them.
    key = (rule.rule, tuple(rule._trace), append_unknown)
    if key not in _compiled:
        _compiled[key] = _compile(rule, append_unknown)
    return _compiled[key]


def compile_once() -> None:
    """Have it so in this process."""
    Rule._compile_builder = _compiled_once  # type: ignore[assignment, method-assign]
    openapi.entry_points = cache(entry_points)  # type: ignore[assignment]
