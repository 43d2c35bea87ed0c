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

_COMPILED = ("_parts", "_trace", "_converters", "arguments")
_compile: Callable[[Rule], None] = Rule.compile
_known: dict[Any, dict[str, Any]] = {}


def _compile_once(rule: Rule) -> None:
    assert rule.map is not None, "rule not bound"
    if rule.defaults or rule.map.host_matching:
        _compile(rule)
        return
    key = (rule.rule, rule.subdomain, rule.merge_slashes)
    if key not in _known:
        _compile(rule)
        _known[key] = {name: getattr(rule, name) for name in _COMPILED}
        _known[key] |= {name: getattr(rule, name).__func__ for name in ("_build", "_build_unknown")}
    for name, value in _known[key].items():
        setattr(rule, name, value.__get__(rule) if name.startswith("_build") else value)


def compile_once() -> None:
    """Have it so in this process."""
    Rule.compile = _compile_once  # type: ignore[assignment, method-assign]
    openapi.entry_points = cache(entry_points)  # type: ignore[assignment]
