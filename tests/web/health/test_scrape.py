"""A scrape: what it shows, in which format, and what is left when a part cannot be read."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from prometheus_client.core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from app.core.single_flight import DeadlineExceededError
from app.metrics.catalogue import create_expected, health_check_up, registry
from app.metrics.inventory import Inventory
from app.storage import Database
from prefork_metrics.exposition import Exposition
from tests.backends.programs import wait_until
from tests.support.application import User, parts
from tests.support.checks import moved
from tests.support.metric_messages import ACCEPT, values

SCRAPE = "/health/metrics"
ERRORS = "vibebox_metrics_collect_errors_total"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def samples(body: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("accept", "begins", "ends"),
    [
        ("", "text/plain; version=", "\n"),
        ("*/*", "text/plain; version=", "\n"),
        ("text/html", "text/plain; version=", "\n"),
        ("application/openmetrics-text", "application/openmetrics-text; version=", "# EOF\n"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0", "# EOF\n"),
    ],
)
def test_format_is_negotiated(client: FlaskClient, accept: str, begins: str, ends: str) -> None:
    response = client.get(SCRAPE, headers={"Accept": accept})

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith(begins)
    assert "charset=utf-8" in response.headers["Content-Type"]
    assert response.get_data(as_text=True).endswith(ends)


def test_protobuf_is_for_whoever_asks(client: FlaskClient, user: User) -> None:
    user.new_environment("one")
    response = client.get(SCRAPE, headers={"Accept": ACCEPT})
    assert response.headers["Content-Type"].startswith("application/vnd.google.protobuf; proto=")
    found = {name for name, _ in values(response.data)}
    # Without a directory the client library's text has starts too, as series of their own.
    text = samples(client.get(SCRAPE).get_data(as_text=True))
    assert found == {name for name, *_ in text if not name.endswith("_created")}

    usage = client.get(f"{SCRAPE}?collect[]=teams", headers={"Accept": ACCEPT})
    assert usage.headers["Content-Type"].startswith("application/openmetrics-text")


def test_whether_starts_are_asked_for_is_yes_or_no(client: FlaskClient) -> None:
    assert client.get(f"{SCRAPE}?created=perhaps").status_code == 422
    assert client.get(f"{SCRAPE}?created=true").status_code == 200


def test_every_part_is_there(client: FlaskClient, user: User) -> None:
    user.new_environment("one")
    user.new_environment("two")

    shown = samples(client.get(SCRAPE).get_data(as_text=True))

    for name in ("vibebox_environments", "vibebox_environments_total"):
        assert shown[name, "stopped"] == 2
        assert shown[name, "paused"] == 0
    assert shown["vibebox_metrics_collect_duration_seconds", "inventory"] > 0
    assert shown["vibebox_metrics_collect_duration_seconds", "files"] > 0
    assert any(key[0] == "vibebox_build_info" and value == 1 for key, value in shown.items())


def test_each_family_has_one_help_and_one_type(client: FlaskClient) -> None:
    lines = client.get(SCRAPE).get_data(as_text=True).splitlines()
    for mark in ("# HELP ", "# TYPE "):
        names = [line.split()[2] for line in lines if line.startswith(mark)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "url",
    ["sqlite:////proc/nowhere/x.db", "sqlite:///{}/empty.db", "sqlite:///{}/garbage.db"],
    ids=["bad path", "no schema", "no database"],
)
def test_metrics_stay_readable_without_the_database(
    make_app: Callable[..., OpenAPI], tmp_path: Path, url: str
) -> None:
    (tmp_path / "garbage.db").write_bytes(b"garbage" * 1000)
    client = make_app(database_url=url.format(tmp_path)).test_client()

    with moved(ERRORS) as errors:
        response = client.get(SCRAPE)

    shown = response.get_data(as_text=True)
    assert response.status_code == 200
    assert "vibebox_http_requests_total{" in shown
    assert "vibebox_environments{" not in shown
    assert errors == {("inventory",): 1}
    assert samples(shown)[ERRORS, "inventory"] > 0  # in the very scrape that lacks the part


class Failing:
    """A part that cannot be read to its end."""

    name = "files"

    def collect(self) -> Iterator[Metric]:
        yield registry.scrape.collect_duration.samples([(("half",), 1.0)])
        raise RuntimeError("secret-bug-text")


class Fine:
    """A part that can."""

    name = "inventory"

    def collect(self) -> Iterable[Metric]:
        return [Metric("vibebox_fine", "Fine.", "gauge")]


@pytest.mark.parametrize("collectors", [[Failing(), Fine()], [Fine(), Failing()]])
def test_failing_part_leaves_the_rest_and_is_counted(
    collectors: list[Fine | Failing], caplog: pytest.LogCaptureFixture
) -> None:
    with moved(ERRORS) as errors:
        body, _ = Exposition(registry, collectors, always=[health_check_up]).render("")

    assert errors == {("files",): 1}
    assert b"vibebox_fine" in body
    assert b"half" not in body and b"secret" not in body
    assert vars(caplog.records[0])["why"] == "secret-bug-text"


def waited(inventory: Inventory) -> float:
    """Return how long a scrape waits for counts that are not to be had."""
    started = time.perf_counter()
    with pytest.raises((OSError, DeadlineExceededError)):
        inventory.collect()
    return time.perf_counter() - started


def test_hung_database_costs_a_scrape_its_deadline_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    reads = []

    def hung(_inventory: Inventory) -> None:
        reads.append(1)
        gate.wait(10)

    monkeypatch.setattr(Inventory, "_count", hung)
    inventory = Inventory(database, 0.5, with_business=True)
    took = sum(waited(inventory) for _ in range(20))
    gate.set()
    inventory.close()

    assert took < 5  # twenty deadlines would be 10 s
    assert len(reads) == 1


def test_database_that_fails_slowly_costs_a_scrape_its_deadline_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try ends, as that of a connection does, so each scrape begins another one."""

    def slow(_inventory: Inventory) -> None:
        time.sleep(1.2)
        raise OSError

    monkeypatch.setattr(Inventory, "_count", slow)
    inventory = Inventory(database, 1, with_business=True)
    times = [waited(inventory) for _ in range(6)]
    inventory.close()

    assert times[0] >= 1
    assert all(seconds < 0.7 for seconds in times[1:])


def test_counts_come_back_with_the_database(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = Inventory(database, 5, with_business=True)
    with monkeypatch.context() as patch:
        patch.setattr(database, "reading", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            inventory.collect()

    wait_until(lambda: succeeds(inventory.collect), 5)
    inventory.close()


def succeeds(work: Callable[[], object]) -> bool:
    try:
        work()
    except Exception:
        return False
    return True


def test_counts_of_the_inventory_are_not_measured_as_work(app: OpenAPI) -> None:
    with moved("vibebox_db_query_duration_seconds_count") as queries:
        app.test_client().get(SCRAPE)

    assert queries == {}


def test_row_of_every_status_is_counted(app: OpenAPI, user: User) -> None:
    for number, status in enumerate(("running", "running", "paused", "error")):
        identity = user.new_environment(f"e{number}")
        with parts(app).database.writing() as session:
            session.execute(
                text("UPDATE environments SET status = :status WHERE id = :id"),
                {"status": status, "id": identity},
            )

    shown = samples(user.client.get(SCRAPE).get_data(as_text=True))

    counts = {key[1]: value for key, value in shown.items() if key[0] == "vibebox_environments"}
    assert counts == {
        "stopped": 0,
        "starting": 0,
        "running": 2,
        "stopping": 0,
        "paused": 1,
        "error": 1,
    }


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A metrics directory in which two processes, dead since, have counted."""
    create_expected()
    directory = tmp_path / "metrics"
    directory.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(directory))
    for member in (7, 8):
        values = MmapedDict(str(directory / f"counter_{member}.db"))
        values.write_value(mmap_key("vibebox_x", "vibebox_x_total", [], [], "Help."), member, 0.0)
        values.close()
    return directory


def test_values_of_all_processes_are_added(shared: Path) -> None:
    exposition = Exposition(registry, always=[health_check_up])

    for _ in range(2):  # the first one absorbs the dead
        body, _ = exposition.render("")
        assert samples(body.decode())["vibebox_x_total",] == 15


def test_files_are_counted_by_state(shared: Path) -> None:
    shown = samples(Exposition(registry, always=[health_check_up]).render("")[0].decode())

    assert shown["vibebox_metrics_files", "live"] == 0
    assert shown["vibebox_metrics_files", "dead"] == 1  # the archive


@pytest.mark.parametrize(
    "content",
    [b"", b"\x40", b"\x40\x00\x00\x00\x00\x00\x00\x00" + b"\xff" * 56],
    ids=["empty", "cut", "garbled"],
)
def test_bad_file_is_left_out_and_counted(shared: Path, content: bytes) -> None:
    (shared / "counter_9.db").write_bytes(content)

    with moved(ERRORS) as errors:
        body, _ = Exposition(registry, always=[health_check_up]).render("")

    assert samples(body.decode())["vibebox_x_total",] == 15
    assert errors == {("files",): 1}


def test_without_a_directory_the_process_shows_its_own() -> None:
    create_expected()
    shown = {
        name
        for name, *_ in samples(
            Exposition(registry, always=[health_check_up]).render("")[0].decode()
        )
    }

    assert {"vibebox_active_connections", "vibebox_auth_attempts_total"} <= shown
