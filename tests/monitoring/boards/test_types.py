"""Grafana knows every key and value of the dashboards: its own types say so, in two languages.

TypeScript is strict about values and keys; the SDK forgets a key that Grafana does not know.
"""

import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins

from tests.conftest import require
from tests.monitoring.boards.lint_boards import BOARDS, DASHBOARDS, WITH_SIGNALS, panels
from tests.support.remembered import PLACE, completed, spent_once, version_of
from tests.test_console_assets import missing_npm

with warnings.catch_warnings():
    # The SDK prefers the format that comes after the classic one, which older Grafanas cannot read.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.models.dashboard import Dashboard

Json = dict[str, Any]
SCHEMA = Path(__file__).with_name("schema")
LOCK = SCHEMA / "package-lock.json"
TSC = "--strict --noEmit --skipLibCheck --module esnext --moduleResolution bundler --target es2022"


@cache
def _read(name: str) -> Json:
    board: Json = json.loads((DASHBOARDS / f"{name}.json").read_text())
    return board


def broken() -> Iterator[tuple[str, Json]]:
    """Yield dashboards with one mistake each that the types must find."""
    for name, place, key, value in (
        ("unknown-key", (), "colour", "red"),
        ("wrong-mode", ("fieldConfig", "defaults", "thresholds"), "mode", "relative"),
        ("wrong-option", ("options",), "colorMode", "foreground"),
        ("unknown-option", ("options",), "graph", "area"),
        ("missing-reference", ("targets", 0), "refId", None),
        ("number-as-text", ("gridPos",), "w", "12"),
    ):
        board = deepcopy(_read("vibebox-overview"))
        found: Any = panels(board)[0]
        for step in place:
            found = found[step]
        found[key] = value
        yield name, board


@pytest.fixture(scope="session")
def types() -> Path:
    """A directory with Grafana's types and the compiler; made once for each lock file."""
    require("npm", missing_npm())
    place = PLACE / f"types-{sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with spent_once(), TemporaryDirectory(dir=place.parent) as work:
            for file in ("package.json", LOCK.name):
                shutil.copy(SCHEMA / file, work)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(command, cwd=work, check=True, timeout=200)
            # Whole or not at all: another run may be at it too.
            made = Path(work, "node_modules")
            shutil.move(made, place)
    return place


def _typed(board: Json) -> str:
    """Return the dashboard as a value of Grafana's type."""
    text = json.dumps(board, indent=1)
    return (
        f"import type {{ Dashboard }} from './strict';\nexport const board: Dashboard = {text};\n"
    )


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_dashboards_are_what_grafana_s_types_describe(types: Path, tmp_path: Path) -> None:
    mistakes = dict(broken())
    boards = {**mistakes}
    for name in BOARDS:
        boards[name] = _read(name)
        boards[f"{name}-signals"] = json.loads((WITH_SIGNALS / f"{name}.json").read_text())
    files = {f"{name}.ts": _typed(board) for name, board in boards.items()}
    strict = (SCHEMA / "strict.ts").read_text()

    def compile_all() -> subprocess.CompletedProcess[str]:
        (tmp_path / "node_modules").symlink_to(types)
        for name, text in {**files, "strict.ts": strict}.items():
            (tmp_path / name).write_text(text)
        return subprocess.run(
            ["node", "node_modules/typescript/bin/tsc", *TSC.split(), *files],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    inputs = ["tsc", TSC, version_of("node"), LOCK.read_text(), strict, files]
    result = completed(inputs, compile_all, lambda done: "error TS" in done.stdout)

    wrong = set(re.findall(r"^([\w-]+)\.ts\(", result.stdout, re.MULTILINE))
    assert wrong == set(mistakes), result.stdout


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield where something of the first is missing in the second, or is another value."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield f"{path}: {before!r} is {after!r}"


def through_sdk(board: Json) -> Any:
    """Return what is left of a dashboard when Grafana's SDK reads and writes it."""
    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(deepcopy(board)), cls=JSONEncoder))


@pytest.mark.parametrize("place", [DASHBOARDS, WITH_SIGNALS], ids=["plain", "signals"])
@pytest.mark.parametrize("name", BOARDS)
def test_the_sdk_loses_nothing(name: str, place: Path) -> None:
    board = json.loads((place / f"{name}.json").read_text())
    assert list(lost(board, through_sdk(board))) == []


@pytest.mark.parametrize("place", ["panel", "options", "target"])
def test_the_sdk_loses_a_key_that_grafana_does_not_know(place: str) -> None:
    board = deepcopy(_read("vibebox-overview"))
    panel = panels(board)[0]
    {"panel": panel, "options": panel["options"], "target": panel["targets"][0]}[place]["no"] = 1

    (found,) = lost(board, through_sdk(board))
    assert found.endswith(".no")
