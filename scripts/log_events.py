#!/usr/bin/env python3
"""Write the tables of docs/log-events.md: the events that the code logs, found in its syntax trees.

    scripts/log_events.py

What the code knows (event, level, logger, fields) is written anew; when an event is written and
what to do is written by hand, in the page, and kept. An event that is new gets `NEW` there, which a
test refuses until somebody has described it.
"""

import ast
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.cli.documents import BEGIN, END, renewed  # noqa: E402

PAGE = ROOT / "docs" / "log-events.md"
PACKAGES = ("app", "prefork_metrics")
NEW = "NEW"
ROOMS = {
    "app.access": "Requests",
    "app.server": "The server as a whole",
    "app.web": "Web workers",
    "app.agent": "The agent",
    "app.domain": "Rules, in workers and in the agent",
    "app.engine": "Docker Engine",
    "app.metrics": "Metrics",
    "prefork_metrics": "Metrics, the library",
    "app.core": "Everywhere",
}
"""The tables in their order; what is of no room of these has its own behind them."""

_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_RANKS = {name: getattr(logging, name.upper()) for name in _METHODS - {"exception", "log"}}


class EventError(Exception):
    """A call of a logger of which this module cannot tell what it logs."""


@dataclass
class Event:
    """What is logged under one name in one room."""

    room: str
    name: str
    levels: set[str] = field(default_factory=set)
    loggers: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Call:
    """A call that logs: the names and levels that it may have, and its fields."""

    names: list[str]
    levels: list[str]
    loggers: list[str]
    fields: set[str]


class Module:
    """The calls of loggers in the source of one module."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self._tree = ast.parse(source)
        self._parents = {
            child: parent
            for parent in ast.walk(self._tree)
            for child in ast.iter_child_nodes(parent)
        }
        self.loggers = dict(self._named_loggers())
        self._lines = dict(self._prepared_lines())

    def _named_loggers(self) -> Iterator[tuple[str, str]]:
        """Yield the module's loggers: `_log = logging.getLogger(__name__)`."""
        for target, call in self._assigned_calls("getLogger"):
            argument = call.args[0] if call.args else None
            if isinstance(argument, ast.Constant):
                yield target, str(argument.value)
            elif isinstance(argument, ast.Name) and argument.id == "__name__":
                yield target, self.name

    def _prepared_lines(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield logger and event of `_lines = LogLines(_log, "request")`."""
        for target, call in self._assigned_calls("LogLines"):
            logger, event = call.args
            assert isinstance(logger, ast.Name) and isinstance(event, ast.Constant)
            yield target, (self.loggers[logger.id], str(event.value))

    def _assigned_calls(self, function: str) -> Iterator[tuple[str, ast.Call]]:
        for node in self._tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                called, target = node.value.func, node.targets[0]
                name = called.attr if isinstance(called, ast.Attribute) else ast.unparse(called)
                if name == function and isinstance(target, ast.Name):
                    yield target.id, node.value

    def given_loggers(self) -> Iterator[tuple[str, str]]:
        """Yield the classes that are handed one of the module's loggers, and the logger."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                for argument in node.args:
                    if isinstance(argument, ast.Name) and argument.id in self.loggers:
                        yield node.func.id, self.loggers[argument.id]

    def calls(self, given: Mapping[str, list[str]]) -> Iterator[Call]:
        """Yield each call that logs; `given`: loggers by the classes that they are handed to.

        Raises: EventError.
        """
        for node in ast.walk(self._tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            receiver, method = node.func.value, node.func.attr
            if isinstance(receiver, ast.Name) and receiver.id in self._lines and method == "write":
                logger, event = self._lines[receiver.id]
                level, known, more = node.args
                fields = self._returned(known) | self._returned(more)
                yield Call([event], self._levels(level), [logger], fields)
            elif method in _METHODS and (loggers := self._receivers(receiver, given)):
                yield self._call(node, method, loggers)

    def _receivers(self, receiver: ast.expr, given: Mapping[str, list[str]]) -> list[str]:
        """Return the loggers that an expression may be, none where it is no logger."""
        if isinstance(receiver, ast.Name) and receiver.id in self.loggers:
            return [self.loggers[receiver.id]]
        if not re.search(r"log(ger)?$", ast.unparse(receiver), re.IGNORECASE):
            return []
        owner = self._enclosing(receiver, ast.ClassDef)
        if isinstance(owner, ast.ClassDef) and given.get(owner.name):
            return given[owner.name]
        raise EventError(f"{self.name}:{receiver.lineno}: which logger is it?")

    def _call(self, node: ast.Call, method: str, loggers: list[str]) -> Call:
        options = {option.arg: option.value for option in node.keywords}
        fields = self._fields(options["extra"]) if "extra" in options else set()
        if method == "exception" or "exc_info" in options:
            fields.add("exception")
        if method == "log":
            return Call(self._names(node.args[1]), self._levels(node.args[0]), loggers, fields)
        level = "error" if method == "exception" else method
        return Call(self._names(node.args[0]), [level], loggers, fields)

    def _names(self, message: ast.expr) -> list[str]:
        """Return the names that a message may be. Raises: EventError where it is no literal."""
        if isinstance(message, ast.Constant) and isinstance(message.value, str):
            return [re.sub(r"%\w", "…", message.value)]
        if isinstance(message, ast.IfExp):
            return self._names(message.body) + self._names(message.orelse)
        # The name of prepared lines stands where they are made.
        owner = self._enclosing(message, ast.ClassDef)
        if isinstance(owner, ast.ClassDef) and owner.name == "LogLines":
            return []
        raise EventError(f"{self.name}:{message.lineno}: the name of an event is a literal")

    def _levels(self, level: ast.expr) -> list[str]:
        if isinstance(level, ast.Attribute) and level.attr.lower() in _RANKS:
            return [level.attr.lower()]
        if isinstance(level, ast.IfExp):
            return self._levels(level.body) + self._levels(level.orelse)
        found = [one for value in self._values(level) for one in self._levels(value)]
        owner = self._enclosing(level, ast.ClassDef)
        if found or (isinstance(owner, ast.ClassDef) and owner.name == "LogLines"):
            return found
        raise EventError(f"{self.name}:{level.lineno}: the level of an event is a literal")

    def _returned(self, given: ast.expr) -> set[str]:
        """Return the keys of what `_lines.known(key, function)` or `function(…)` makes."""
        assert isinstance(given, ast.Call)
        function = given.args[1] if isinstance(given.func, ast.Attribute) else given.func
        (made,) = (
            node
            for node in self._tree.body
            if isinstance(node, ast.FunctionDef) and node.name == ast.unparse(function)
        )
        keys = [key for node in ast.walk(made) if isinstance(node, ast.Dict) for key in node.keys]
        keys += [node.slice for node in ast.walk(made) if isinstance(node, ast.Subscript)]
        return {str(key.value) for key in keys if isinstance(key, ast.Constant)}

    def _fields(self, given: ast.expr) -> set[str]:
        """Return the keys of a mapping, also where it has a name and is added to."""
        found = set()
        if isinstance(given, ast.Dict):
            for key, value in zip(given.keys, given.values, strict=True):
                found |= {str(key.value)} if isinstance(key, ast.Constant) else self._fields(value)
        elif isinstance(given, ast.Name):
            for value in self._values(given):
                found |= self._fields(value)
            for node in ast.walk(self._tree):
                if isinstance(node, ast.Subscript) and ast.unparse(node.value) == given.id:
                    if isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant):
                        found.add(str(node.slice.value))
        return found

    def _values(self, name: ast.expr) -> Iterator[ast.expr]:
        """Yield what a name is set to in its function."""
        function = self._enclosing(name, ast.FunctionDef)
        for node in ast.walk(function) if function and isinstance(name, ast.Name) else ():
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if ast.unparse(name) in map(ast.unparse, targets):
                    yield node.value

    def _enclosing(self, node: ast.AST, kind: type[ast.AST]) -> ast.AST | None:
        current: ast.AST | None = node
        while current is not None and not isinstance(current, kind):
            current = self._parents.get(current)
        return current


def events_of(sources: Mapping[str, str]) -> list[Event]:
    """Return the events of modules, given by name and source. Raises: EventError."""
    modules = [Module(name, source) for name, source in sources.items()]
    given: dict[str, list[str]] = {}
    for module in modules:
        for owner, logger in module.given_loggers():
            given.setdefault(owner, []).append(logger)
    found: dict[tuple[str, str], Event] = {}
    for module in modules:
        for call in module.calls(given):
            for name in call.names:
                _enter(found, name, call)
    return [found[key] for key in sorted(found)]


def _enter(found: dict[tuple[str, str], Event], name: str, call: Call) -> None:
    for logger in call.loggers:
        room = ".".join(logger.split(".")[: 2 if logger.startswith("app.") else 1])
        event = found.setdefault((room, name), Event(room, name))
        event.levels.update(call.levels)
        event.loggers.add(logger)
        event.fields.update(call.fields)


@cache
def events() -> list[Event]:
    """Return the events of the product."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return events_of(
        {
            ".".join(file.relative_to(ROOT).with_suffix("").parts): file.read_text()
            for file in sorted(files)
        }
    )


def table(found: list[Event], said: Mapping[str, tuple[str, str]]) -> str:
    """Return the tables; `said`: when an event is written and what to do, by its name."""
    rooms = {event.room for event in found}
    parts = []
    for room in [*(one for one in ROOMS if one in rooms), *sorted(rooms - set(ROOMS))]:
        title = f"{ROOMS[room]}: `{room}`" if room in ROOMS else f"`{room}`"
        parts += [f"### {title}", ""]
        parts += ["| event | level | logger | fields | written when | what to do |"]
        parts += ["|---|---|---|---|---|---|"]
        of_room = [event for event in found if event.room == room]
        for event in sorted(of_room, key=lambda one: (sorted(one.loggers), one.name)):
            parts.append(_row(event, said.get(event.name, (NEW, NEW))))
        parts.append("")
    return "\n".join(parts).strip()


def _row(event: Event, said: tuple[str, str]) -> str:
    levels = ", ".join(sorted(event.levels, key=_RANKS.__getitem__))
    loggers = ", ".join(_code(one) for one in sorted(event.loggers))
    fields = ", ".join(_code(one) for one in sorted(event.fields)) or "none"
    return f"| {_code(event.name)} | {levels} | {loggers} | {fields} | {said[0]} | {said[1]} |"


def _code(text: str) -> str:
    return f"`{text}`"


def descriptions(page: str) -> dict[str, tuple[str, str]]:
    """Return what the page says by hand of each event."""
    rows = page.partition(BEGIN)[2].partition(END)[0].splitlines()
    cells = [row.strip("|").split(" | ") for row in rows if row.startswith("| `")]
    return {row[0].strip(" `"): (row[4].strip(), row[5].strip()) for row in cells}


def page() -> str:
    """Return the page as it should be."""
    now = PAGE.read_text()
    return renewed(now, table(events(), descriptions(now)))


if __name__ == "__main__":
    PAGE.write_text(page())
