"""Divides every duration of rules and routes by a factor; what stands in quotes is left alone."""

import re
from typing import Any

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+)(ms|[smhd])")
_DURATION = r"(?:\d+(?:ms|[smhd]))+"
# A string, which is kept, or a range, with its step if it has one, which is divided.
_TOKEN = re.compile(rf'"[^"]*"|\[{_DURATION}(?::{_DURATION})?\]')
_INTERVALS = ("group_wait", "group_interval", "repeat_interval", "resolve_timeout")


def seconds(duration: str) -> float:
    """Return the seconds of a duration as Prometheus writes it."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(duration))


def divided(duration: str, factor: float) -> str:
    """Return the duration divided by the factor, a millisecond at least unless it is none."""
    milliseconds = seconds(duration) * 1000 / factor
    return f"{max(round(milliseconds), 1) if milliseconds else 0}ms"


def expression(text: str, factor: float) -> str:
    """Return the expression with its ranges divided."""

    def replaced(found: re.Match[str]) -> str:
        if found[0].startswith('"'):
            return found[0]
        parts = found[0][1:-1].split(":")
        return f"[{':'.join(divided(part, factor) for part in parts)}]"

    return _TOKEN.sub(replaced, text)


def rules(document: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return a file of rules with its durations divided."""
    for group in document["groups"]:
        for rule in group["rules"]:
            rule["expr"] = expression(rule["expr"], factor)
            if "for" in rule:
                rule["for"] = divided(rule["for"], factor)
    return document


def routes(node: Any, factor: float) -> Any:
    """Return a configuration of Alertmanager with its durations divided."""
    if isinstance(node, list):
        return [routes(item, factor) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: divided(value, factor) if key in _INTERVALS else routes(value, factor)
        for key, value in node.items()
    }
