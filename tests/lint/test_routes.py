"""Routes of the API have one form: errors named in one line, answers made by `answers.shown`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import app

API = Path(app.__file__).parent / "web" / "api"


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Yield what the modules of routes consist of, each with its module's name."""
    for path in sorted(API.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            yield path.name, node


def test_route_names_its_errors_in_one_line() -> None:
    named = [
        (module, node.value)
        for module, node in nodes()
        if isinstance(node, ast.keyword) and node.arg == "responses"
    ]

    assert len(named) > 50
    assert [
        f"{module}:{value.lineno}" for module, value in named if value.lineno != value.end_lineno
    ] == []


def test_only_one_function_makes_a_view_what_an_answer_holds() -> None:
    dumped = {
        module
        for module, node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "model_dump"
        # Of a query or body that a service is given, not of an answer.
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id in {"query", "body"})
    }

    assert dumped == {"answers.py"}
