"""The tree keeps what import-linter cannot see: a package's face imports nothing of others.

Whoever imports a module imports the faces of its packages first, which no contract shows.
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
