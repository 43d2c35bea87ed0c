"""The wheels of `make dist`: what is in them, and that they run where nothing else of ours is."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import distributions
from pathlib import Path
from zipfile import ZipFile

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app._version import __version__
from app.cli import monitoring, shipped
from tests.backends import http
from tests.backends.programs import Program, family, free_port, tail, wait_until
from tests.deploy.built import ROOT, build, built_once, environment
from tests.end_to_end.api import PASSWORD, Api

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(240)]

VIBEBOX = f"vibebox-{__version__}-py3-none-any.whl"
LIBRARY = f"prefork_metrics-{__version__}-py3-none-any.whl"
START_TIMEOUT = 60.0
REQUESTS = 60
STRANGER = "raise SystemExit(__file__ + ' of the working directory is imported')\n"
STRANGERS = (
    "app/__init__.py",
    "app/wsgi.py",
    "alembic.py",
    "flask.py",
    "gevent.py",
    "gunicorn.conf.py",
    "monitoring.py",
    "redis.py",
    "setproctitle.py",
)
"""What lies where VibeBox is started: also what it would import if that were there."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of this checkout."""
    return built_once(tmp_path_factory)


@pytest.fixture(scope="module")
def programs(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment in which pip has installed the wheels and what they require."""
    return environment(tmp_path_factory.mktemp("elsewhere"), "vibebox", *wheels.values())


def test_wheel_holds_the_package_and_what_ships_with_it_only(wheels: dict[str, Path]) -> None:
    with ZipFile(wheels[VIBEBOX]) as wheel:
        names = set(wheel.namelist())
        for file in shipped.files(ROOT):
            assert wheel.read(f"app/{shipped.INSIDE}/{file}") == (ROOT / file).read_bytes()
    listed = subprocess.run(
        ["git", "ls-files", "app"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    # What is for who works on the checkout stays there.
    expected = {name for name in listed if not name.endswith((".md", "package.json", "-lock.json"))}
    expected |= {f"app/{shipped.INSIDE}/{file}" for file in shipped.files(ROOT)}
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_library_is_a_distribution_of_its_own(wheels: dict[str, Path]) -> None:
    assert set(wheels) == {VIBEBOX, LIBRARY}
    with ZipFile(wheels[LIBRARY]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    listed = subprocess.run(
        ["git", "ls-files", "prefork_metrics"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert names == {name for name in listed if name.endswith((".py", "py.typed"))}
    needed = metadata_of(wheels[LIBRARY]).get_all("Requires-Dist") or []
    assert [name for name in needed if "extra ==" not in name] == ["prometheus-client<1,>=0.24"]
    assert any(
        name.startswith("prefork-metrics")
        for name in metadata_of(wheels[VIBEBOX]).get_all("Requires-Dist") or []
    )


def metadata_of(path: Path) -> Message:
    """Return the metadata of a wheel."""
    with ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(wheel.read(name).decode())


def test_metadata_is_complete(wheels: dict[str, Path]) -> None:
    for wheel in wheels.values():
        metadata = metadata_of(wheel)
        assert metadata["Version"] == __version__
        described = {"Summary", "Keywords", "Classifier", "Requires-Python"}
        assert {*described, "Description-Content-Type"} <= {*metadata.keys()}
        assert "Project-URL" not in metadata  # nobody has named one
    metadata = metadata_of(wheels[VIBEBOX])
    assert {"redis"} <= set(metadata.get_all("Provides-Extra") or ())


def test_metadata_names_the_published_source(tmp_path: Path) -> None:
    url = "https://code.example/vibebox"
    for wheel in build(tmp_path, PROJECT_URL=url).values():
        assert metadata_of(wheel).get_all("Project-URL") == [f"Source, {url}"]


@pytest.mark.parametrize(
    "url", ["vibebox", "https://", "ftp://code.example", 'https://a/"x', "https://a/%(x)s"]
)
def test_source_that_is_no_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        build(tmp_path, PROJECT_URL=url)
    assert b"is no address" in refused.value.stderr
    assert not list(tmp_path.iterdir())


def test_same_commit_gives_the_same_bytes(wheels: dict[str, Path], tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        again = build(tmp_path)
    finally:
        os.umask(before)
    assert {name: wheel.read_bytes() for name, wheel in again.items()} == {
        name: wheel.read_bytes() for name, wheel in wheels.items()
    }


class Installed:
    """An installed VibeBox in a directory of somebody else's."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self.directory = directory
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.log = directory.parent / "log"
        self._vibebox = str(programs / "vibebox")
        self._env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(directory.parent),
            "LANG": "C.UTF-8",
            "PORT": str(port),
            "WEB_CONCURRENCY": "2",
            "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
        }
        self.service = Program([self._vibebox, "run"], self.log, env=self._env, cwd=directory)

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run a command of it to its good end; return what it says."""
        done = subprocess.run(
            [self._vibebox, *arguments],
            input=stdin,
            env=self._env,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.service.start()
        self.service.wait_ready(lambda: http.answers(f"{self.url}/health/ready"), START_TIMEOUT)

    def master(self) -> psutil.Process:
        """Return gunicorn's master."""
        (found,) = (
            child
            for child in psutil.Process(self.service.pid).children()
            if "app.web.serve" in child.cmdline()
        )
        return found

    def counted(self, **labels: str) -> float:
        """Return how many requests with those labels a scrape tells of."""
        scrape = http.get(f"{self.url}/health/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(scrape)
            for sample in family.samples
            if sample.name == "vibebox_http_requests_total"
            and labels.items() <= sample.labels.items()
        )


@pytest.fixture
def installed(programs: Path, tmp_path: Path) -> Iterator[Installed]:
    """A running one, in a directory where everything that could be imported by mistake lies."""
    directory = tmp_path / "somebody's"
    for name in STRANGERS:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(STRANGER)
    (directory / "Procfile").write_text("web: sh -c 'exit 3'\n")
    (directory / ".env").write_text("VIBEBOX_THREADS=4\n")
    one = Installed(programs, directory)
    try:
        one.start()
        yield one
        assert one.service.stop(START_TIMEOUT) == 0, tail(one.log)
    finally:
        one.service.kill()


def test_runs_beside_an_unrelated_app(installed: Installed) -> None:
    workers = {child.pid for child in installed.master().children()}
    assert len(workers) == 2

    told = installed.run(
        "accounts", "create", "ada@example.org", "--operator", "--password-stdin", stdin=PASSWORD
    )
    assert "ada@example.org" in told
    with Api(installed.url) as api:
        assert api.login("ada@example.org").status_code == 200
        assert api.call("GET", "/accounts").status_code == 200

    page = http.get(f"{installed.url}/")
    assert page.status_code == 200
    assets = set(re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))', page.text))
    assert assets
    assert {http.get(f"{installed.url}{one}").status_code for one in assets} == {200}

    for _ in range(REQUESTS):
        assert http.get(f"{installed.url}/health").status_code == 200
    assert installed.counted(method="GET", route="/health", status_code="200") == REQUESTS

    # A reload reads the configuration anew, by which gunicorn sets its path.
    installed.master().send_signal(signal.SIGHUP)
    wait_until(lambda: not workers & {one.pid for one in family(installed.service.pid)}, 30)
    wait_until(lambda: http.answers(f"{installed.url}/health/live"), 30)
    assert installed.counted(method="GET", route="/health", status_code="200") == REQUESTS

    assert "of the working directory is imported" not in installed.log.read_text()
    assert {path.name for path in installed.directory.iterdir()} == {
        *(name.partition("/")[0] for name in STRANGERS),
        *("Procfile", ".env", "var"),
    }
    assert {"metrics", "vibebox.db"} <= {
        path.name for path in (installed.directory / "var").iterdir()
    }
    assert not list(installed.directory.rglob("__pycache__"))


def test_writes_the_monitoring(programs: Path, tmp_path: Path) -> None:
    target = tmp_path / "monitoring"
    subprocess.run([programs / "vibebox", "monitoring", "write", target], check=True, timeout=60)
    written = sorted(path.relative_to(target) for path in target.rglob("*") if path.is_file())
    assert written == sorted(monitoring.written_files(ROOT))


@pytest.mark.full
def test_list_of_parts_is_what_is_installed(programs: Path, tmp_path: Path) -> None:
    """The image has such a list of its own environment, made by the same script.

    There it is validated by CycloneDX' schema, which takes seconds.
    """
    file = tmp_path / "sbom.cdx.json"
    write = [sys.executable, "scripts/image-sbom", str(programs.parent), str(file)]
    subprocess.run([*write, "--no-validate"], cwd=ROOT, check=True, timeout=60)
    sbom = json.loads(file.read_text())
    (packages,) = programs.parent.glob("lib/python*/site-packages")
    there = {one.name: one.version for one in distributions(path=[str(packages)])}
    whole = sbom["metadata"]["component"]
    parts = {part["name"]: part["version"] for part in sbom["components"]}
    assert {**parts, whole["name"]: whole["version"]} == there
    assert whole["version"] == __version__
    (direct,) = (one["dependsOn"] for one in sbom["dependencies"] if one["ref"] == whole["bom-ref"])
    assert any(one.startswith("gunicorn==") for one in direct)
