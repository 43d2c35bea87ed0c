"""What the documents say is true of the code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app import create_app
from app.cli.documents import BEGIN, END
from app.core import settings
from app.core.setting_names import CLIENT_VARIABLES
from app.core.settings import Settings, environment_name
from app.domain.authorization import permissions_table
from app.metrics.catalogue import reference_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DECISIONS = ROOT / "docs" / "decisions"
PROMETHEUS = ROOT / "monitoring" / "prometheus" / "prometheus.yml"
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "deploy").rglob("*.md"),
    *(ROOT / "monitoring").rglob("*.md"),
]
SPEAKING_OF_SETTINGS = [
    *(path for path in DOCUMENTS if path.name != "CHANGELOG.md"),  # it remembers removed ones
    ROOT / "Dockerfile",
    ROOT / "docker-compose.yml",
    PROMETHEUS,
]
_LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)\s#]+)(?:#[^)]*)?\)")


def name(path: Path) -> str:
    """Return a readable test id."""
    return str(path.relative_to(ROOT))


def test_env_example_lists_every_setting() -> None:
    assert (ROOT / ".env.example").read_text() == settings.example(), "run: make generate"


def test_metrics_table_is_that_of_the_catalogue() -> None:
    document = (ROOT / "monitoring" / "README.md").read_text()
    table = document.partition(BEGIN)[2].partition(END)[0]
    assert table.strip() == reference_table().strip(), "run: make generate"


def test_permissions_table_is_that_of_the_code() -> None:
    document = (ROOT / "docs" / "permissions.md").read_text()
    table = document.partition(BEGIN)[2].partition(END)[0]
    assert table.strip() == permissions_table().strip(), "run: make generate"


@pytest.mark.parametrize("path", SPEAKING_OF_SETTINGS, ids=name)
def test_named_settings_exist(path: Path) -> None:
    known = {environment_name(key, field) for key, field in Settings.model_fields.items()}
    named = set(re.findall(r"VIBEBOX_[A-Z][A-Z0-9_]*", path.read_text()))
    assert named <= {*known, *CLIENT_VARIABLES}


def test_readme_names_make_targets_that_exist() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)(?:`| +#)", README, re.MULTILINE))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"run", "test"} <= named <= set(targets)


def test_health_routes_are_asked_by_the_readme_and_described_for_operators() -> None:
    app = create_app(Settings(database_url="sqlite:///no-such-directory/never-opened.db"))
    routes = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/health")}
    assert set(re.findall(r"^\$ curl -s \$BASE(/health[a-z/]*)", README, re.MULTILINE)) == routes
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"`GET (/health[a-z/]*)`", operations)) == routes


def test_readme_names_grafana_and_its_dashboards() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    (published,) = compose["services"]["grafana"]["ports"]
    (port,) = re.findall(r"GRAFANA_PORT:-(\d+)\}", published)
    assert f"Grafana is at <http://localhost:{port}>" in README
    boards = (ROOT / "monitoring" / "grafana" / "dashboards").glob("*.json")
    titles = {json.loads(board.read_text())["title"] for board in boards}
    assert set(re.findall(r"^\| (VibeBox - [^|]*) \|", README, re.MULTILINE)) == titles


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_local_links_resolve(path: Path) -> None:
    broken = [link for link in _LINK.findall(path.read_text()) if not (path.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_to_a_part_of_a_page_find_its_heading(path: Path) -> None:
    links = re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", path.read_text())
    broken = [
        f"{page}#{part}"
        for page, part in links
        if part not in _headings(path.parent / page if page else path)
    ]
    assert broken == []


def _headings(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_paths_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(r"\b((?:app|tests|monitoring|benchmarks|docs)/[\w./-]*\w/?)", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_modules_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:\w+/)+\w+\.py)`", text))
    assert named
    assert [path for path in named if not (_from_app(path) or (ROOT / path).exists())] == []


def _from_app(path: str) -> list[Path]:
    """Return the files below app/ and the library whose path ends so."""
    return [*(ROOT / "app").rglob(path), *(ROOT / "prefork_metrics").rglob(path)]


def test_every_decision_is_listed_and_has_its_three_parts() -> None:
    index = (DECISIONS / "README.md").read_text()
    for page in _decisions():
        text = page.read_text()
        title = text.splitlines()[0].removeprefix("# ")
        assert f"| [{title[:4]}]({page.name}) | {title[5:]} |" in index
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]


def _decisions() -> Iterator[Path]:
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{n:04}" for n in range(1, len(pages) + 1)]
    yield from pages
