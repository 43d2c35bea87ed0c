"""LogQL of links, in the grammar that Grafana's own editor has of it, and in ours of a part."""

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import require
from tests.monitoring.signals import known, logql
from tests.monitoring.signals.links import of_boards, of_sources, sources
from tests.monitoring.signals.lint_links import is_ours, query_of
from tests.support.remembered import PLACE, completed, spent_once, version_of
from tests.test_console_assets import missing_npm

HERE = Path(__file__).with_name("grammar")
LOCK = HERE / "package-lock.json"
BAD = (
    '{service_name="vibebox"',
    '{service_name=="vibebox"}',
    '{service_name="vibebox"} | status >',
    '{service_name="vibebox"} status >= 500',
    '{service_name="vibebox"} | route = /api',
    "| status >= 500",
)


def queries() -> list[str]:
    """Return every query for lines that a link leads to."""
    found = set()
    for link in (*of_sources(sources()), *of_boards()):
        if is_ours(link):
            uid, query = query_of(link)
            if known.SOURCES[uid] == "loki":
                found.add(query["expr"])
    return sorted(found)


@pytest.fixture(scope="session")
def modules() -> Path:
    """A directory with the grammar; made once for each lock file."""
    require("npm", missing_npm())
    place = PLACE / f"logql-{sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with spent_once(), TemporaryDirectory(dir=place.parent) as work:
            for file in ("package.json", LOCK.name):
                shutil.copy(HERE / file, work)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(command, cwd=work, check=True, timeout=200)
            # Whole or not at all: another run may be at it too.
            shutil.move(Path(work, "node_modules"), place)
    return place


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_queries_are_what_grafana_s_grammar_describes(modules: Path, tmp_path: Path) -> None:
    good, script = queries(), (HERE / "check.mjs").read_text()

    def check() -> subprocess.CompletedProcess[str]:
        (tmp_path / "node_modules").symlink_to(modules)
        (tmp_path / "check.mjs").write_text(script)
        return subprocess.run(
            ["node", "--preserve-symlinks", "--preserve-symlinks-main", "check.mjs"],
            cwd=tmp_path,
            input=json.dumps([*good, *BAD]),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    inputs = ["logql", version_of("node"), LOCK.read_text(), script, good, BAD]
    result = completed(inputs, check, lambda done: done.returncode == 0)

    wrong = json.loads(result.stdout)
    assert wrong[: len(good)] == [[] for _ in good]
    assert all(wrong[len(good) :]), "what is broken is found"


@pytest.mark.parametrize("query", BAD)
def test_what_is_no_logql_is_refused_by_our_parser_too(query: str) -> None:
    with pytest.raises(ValueError):
        logql.parse(query)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('{a="x"}', '"a":="x"'),
        ('{service_name=~".+"} | b = "y"', '"service.name":~"^(?:.+)$" "b":="y"'),
        (r'{a!="x\"y\\"} | b != "" | c !~ "z"', r'-"a":="x\"y\\" -"b":="" -"c":~"^(?:z)$"'),
        ('{a="x"} | b >= 500 | c < 0.5', '"a":="x" "b":>=500 "c":<0.5'),
    ],
)
def test_the_stand_in_is_asked_the_same(query: str, said: str) -> None:
    if query.startswith("{a!="):
        with pytest.raises(ValueError):
            logql.parse(query)
        query = query.replace("{a!=", '{d="w", a!=')
        said = f'"d":="w" {said}'
    assert logql.to_logsql(logql.parse(query)) == said
