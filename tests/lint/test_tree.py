"""The tree keeps what import-linter cannot see.

A package's face imports nothing of others: whoever imports a module imports the faces of its
packages first, which no contract shows. Only storage tells PostgreSQL from SQLite in what it asks.
And of the command line, the client may be taken away alone: it knows the service by its API.
"""

import ast
from pathlib import Path

import pytest

import app

ROOT = Path(app.__file__).parent
LIBRARY = ROOT.parent / "prefork_metrics"
FACES = sorted(
    path
    for top in (ROOT, LIBRARY)
    for path in top.rglob("__init__.py")
    if path.parent not in (ROOT, LIBRARY)  # what users of either import
)


@pytest.mark.parametrize("face", FACES, ids=lambda face: str(face.parent.relative_to(ROOT.parent)))
def test_face_is_empty_or_offers_names_of_its_own_package(face: Path) -> None:
    package = ".".join(face.parent.relative_to(ROOT.parent).parts)
    docstring, *body = ast.parse(face.read_text()).body
    assert isinstance(docstring, ast.Expr), "it says what the package is"
    for statement in body:
        if isinstance(statement, ast.Assign):
            assert [ast.unparse(target) for target in statement.targets] == ["__all__"]
        else:
            assert isinstance(statement, ast.ImportFrom) and statement.module is not None
            assert f"{statement.module}.".startswith(f"{package}."), statement.module


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for top in (ROOT, LIBRARY) for path in top.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def _names_a_dialect(module: Path) -> bool:
    for node in ast.walk(ast.parse(module.read_text())):
        imported = getattr(node, "module", None) or ""
        if imported.startswith("sqlalchemy.dialects"):
            return True
        if isinstance(node, ast.Attribute) and node.attr == "dialect":
            return True
    return False


def test_only_storage_knows_sql_dialects() -> None:
    knowing = {module for module in ROOT.rglob("*.py") if _names_a_dialect(module)}
    storage = ROOT / "storage"
    assert storage / "inserting.py" in knowing
    assert [module for module in knowing if not module.is_relative_to(storage)] == []


def _imported(module: Path) -> set[str]:
    """Return what a module imports of `app`, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{one.name}" for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
    return {name for name in found if f"{name}.".startswith("app.")}


def test_client_knows_only_core_and_the_screen() -> None:
    may = ("app.cli.client.", "app.cli.screen.", "app.core.", "app._version.")
    modules = list((ROOT / "cli" / "client").glob("*.py"))
    imported = {name for module in modules for name in _imported(module)}
    assert any(name.startswith("app.core.") for name in imported)
    assert [name for name in imported if not f"{name}.".startswith(may)] == []
