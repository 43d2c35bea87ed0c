"""An application that is no VibeBox, where only the library, Flask and gunicorn are installed.

Workers are killed and recycled under it, and all counts stay exact; beside it the same application
on the client library's own multiprocess mode.
"""

import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from itertools import repeat
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.backends.programs import Program, free_port, wait_until
from tests.deploy.built import ROOT, add, built_once, environment
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(size(180, 1800))]

WORKERS = 4
REQUESTS = size(1_200, 100_000)
KILLED = size(4, 50)
RECYCLED = size(8, 200)
AT_ONCE = 8
EXAMPLES = ROOT / "examples"

APPLICATION = """
from flask import Flask
from prometheus_client import Counter

app = Flask(__name__)
orders = Counter("shop_orders", "Orders taken.", ["kind"])

@app.get("/orders/<kind>")
def order(kind):
    orders.labels(kind).inc()
    return kind
"""
OURS = """
from prefork_metrics.flask import PreforkMetrics
PreforkMetrics(app, prefix="shop")
"""
STOCK = """
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

@app.get("/metrics")
def metrics():
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)
"""
CONFIG = f"""
workers = {WORKERS}
max_requests = {REQUESTS // RECYCLED}
control_socket_disable = True
"""
INSTALL = """
from prefork_metrics.gunicorn import install
install(globals())
"""
LOGGED = """
import logging
logging.basicConfig(level="INFO")
"""
MARK_DEAD = """
from prometheus_client.multiprocess import mark_process_dead

def child_exit(server, worker):
    mark_process_dead(worker.pid)
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the library, Flask and gunicorn alone."""
    wheels = built_once(tmp_path_factory)
    (library,) = (wheel for name, wheel in wheels.items() if name.startswith("prefork"))
    extras = ("flask", "gunicorn")
    wanted = f"{library}[{','.join(extras)}]"
    return environment(
        tmp_path_factory.mktemp("stranger"), "prefork-metrics", wanted, extras=extras
    )


class Shop:
    """The running application."""

    def __init__(
        self,
        programs: Path,
        directory: Path,
        *arguments: str,
        application: str = "app",
    ) -> None:
        self.port = free_port()
        self.metrics_directory = directory / "metrics"
        self.log = directory / "log"
        env = {"PATH": "/usr/bin:/bin", "PROMETHEUS_MULTIPROC_DIR": str(self.metrics_directory)}
        command = [str(programs / "gunicorn"), "-b", f"127.0.0.1:{self.port}"]
        command += [*arguments, application]
        self.server = Program(command, self.log, name="gunicorn", env=env, cwd=directory)
        self.metrics_directory.mkdir()

    def __enter__(self) -> "Shop":
        self.server.start()
        wait_until(lambda: self.get("/metrics") == 200, 30, otherwise=self.log.read_text)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.server.stop() == 0, self.log.read_text()

    def get(self, path: str) -> int:
        """Return the status of an answer, 0 where there is none."""
        return self.fetch(path)[0]

    def fetch(self, path: str) -> tuple[int, str]:
        """Return status and text."""
        return self.send("GET", path)

    def send(self, method: str, path: str) -> tuple[int, str]:
        """Return status and text; every request has a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return 0, ""
        finally:
            connection.close()

    def load(self, number: int) -> tuple[int, int]:
        """Send so many requests; return how many were answered, and how many were not."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            statuses = list(pool.map(self.get, repeat("/orders/book", number)))
        return statuses.count(200), statuses.count(0)

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of that name that have these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.fetch("/metrics")[1])
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.server.pid).children()}

    def kill_one(self) -> None:
        """Kill the youngest worker, which is not about to end, and wait for another."""
        os.kill(victim := max(self.workers()), signal.SIGKILL)
        wait_until(lambda: victim not in (now := self.workers()) and len(now) >= WORKERS, 20)

    def files(self) -> int:
        return len(list(self.metrics_directory.iterdir()))

    def scrape(self) -> tuple[int, float]:
        """Return size and seconds of a scrape: the quickest of five."""
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            text = self.fetch("/metrics")[1]
            seconds.append(time.perf_counter() - started)
        return len(text), min(seconds)


def write(directory: Path, application: str, config: str) -> Path:
    directory.mkdir()
    (directory / "app.py").write_text(APPLICATION + application + "application = app\n")
    (directory / "gunicorn.conf.py").write_text(CONFIG + config)
    return directory


def replaced(shop: Shop) -> tuple[int, int]:
    """Send all requests in as many rounds as workers are killed; return answered and lost."""
    answered = lost = 0
    for _ in range(KILLED):
        good, bad = shop.load(REQUESTS // KILLED)
        answered, lost = answered + good, lost + bad
        # A request is counted when its answer is closed, which is after the client has it.
        time.sleep(0.1)
        shop.kill_one()
    return answered, lost


def test_exact_while_workers_are_killed_and_recycled(programs: Path, tmp_path: Path) -> None:
    route = {"route": "/orders/<kind>"}
    with Shop(programs, write(tmp_path / "ours", OURS, LOGGED + INSTALL)) as shop:
        wait_until(lambda: shop.value("shop_workers") == WORKERS, 20)
        shop.load(WORKERS)
        files, (length, seconds) = shop.files(), shop.scrape()
        answered, lost = replaced(shop)
        assert lost == 0
        answered += WORKERS
        assert shop.value("shop_orders_total") == answered
        assert shop.value("shop_http_requests_total", **route) == answered
        assert shop.value("shop_http_request_duration_seconds_count", **route) == answered
        wait_until(lambda: shop.value("shop_workers") == WORKERS, 20)
        assert "server hook failed" not in shop.log.read_text()
        killed = shop.value("shop_worker_exits_total", reason="killed")
        recycled = shop.value("shop_worker_exits_total", reason="recycled")
        after, (later_length, later) = shop.files(), shop.scrape()
    assert killed == KILLED
    assert recycled >= RECYCLED - KILLED, "a killed worker has not served its share"
    # One archive, and whoever is being replaced at this moment.
    assert after <= files + 16
    assert later_length < 1.5 * length

    with Shop(programs, write(tmp_path / "stock", STOCK, MARK_DEAD)) as stock:
        stock_files = stock.files()
        stock_answered, _ = replaced(stock)
        assert stock.value("shop_orders_total") == stock_answered
        stock_after, (_, stock_later) = stock.files(), stock.scrape()
    assert stock_after > stock_files + KILLED
    print(
        f"{answered} requests, {killed:.0f} killed, {recycled:.0f} recycled; files {files} to "
        f"{after}, stock {stock_files} to {stock_after}; scrape {length} to {later_length} bytes, "
        f"{1000 * seconds:.1f} to {1000 * later:.1f} ms, stock {1000 * stock_later:.1f} ms"
    )


def test_killed_under_load_no_answered_order_is_lost(programs: Path, tmp_path: Path) -> None:
    with Shop(programs, write(tmp_path / "ours", OURS, INSTALL)) as shop:
        with ThreadPoolExecutor(1) as killer:
            kills = [killer.submit(shop.kill_one) for _ in range(KILLED)]
            answered, lost = shop.load(REQUESTS // 2)
            assert [kill.result() for kill in kills] == [None] * KILLED
        assert answered <= shop.value("shop_orders_total") <= answered + lost


def example(name: str, directory: Path) -> Path:
    """Return a copy of an example, in which nothing else lies."""
    return Path(shutil.copytree(EXAMPLES / name, directory / name))


def test_flask_example(programs: Path, tmp_path: Path) -> None:
    with Shop(programs, example("flask", tmp_path), application="app:app") as shop:
        for _ in range(20):
            assert shop.send("POST", "/orders/book")[0] == 201
        assert shop.get("/nowhere") == 404
        wait_until(lambda: shop.value("shop_workers") == 4, 20)
        assert shop.value("shop_orders_total", kind="book") == 20
        assert shop.value("shop_http_requests_total", route="/orders/<kind>") == 20
        assert shop.value("shop_api_errors_total", route="unmatched") == 1
        assert shop.value("shop_worker_threads", state="total") == 16
        assert shop.value("shop_worker_threads", state="busy") == 0
        # The master learns from its workers under which names it tells of itself.
        wait_until(lambda: shop.value("shop_process_threads", worker="master") > 1, 20)
        # No worker of gunicorn's own tells for how long a request waited.
        assert "shop_http_queue_wait_seconds" not in shop.fetch("/metrics")[1]


def test_wsgi_example(programs: Path, tmp_path: Path) -> None:
    with Shop(programs, example("wsgi", tmp_path), application="app") as shop:
        assert [shop.get("/"), shop.get("/level?3"), shop.get("/level?2.5"), shop.get("/x")] == [
            *(200, 200, 200, 404)
        ]
        wait_until(lambda: shop.value("plain_workers") == 2, 20)
        assert shop.value("plain_level") == 2.5
        assert shop.value("plain_build_info", version="1.0") == 1
        assert shop.value("plain_http_requests_total", route="/level") == 2
        assert shop.value("plain_http_requests_total", route="unmatched") == 1
        text = shop.fetch("/metrics")[1]
        assert "plain_worker_threads" not in text, "the sync worker has none to tell of"


@pytest.mark.full
def test_gevent_counts_and_says_what_it_cannot_tell(programs: Path, tmp_path: Path) -> None:
    add(programs, "gevent >=25, <27", "packaging")
    arguments = ("-k", "gevent", "--log-level", "info")
    with Shop(programs, write(tmp_path / "ours", OURS, INSTALL + LOGGED), *arguments) as shop:
        assert shop.load(200) == (200, 0)
        shop.kill_one()
        assert shop.load(200) == (200, 0)
        wait_until(lambda: shop.value("shop_workers") == WORKERS, 20)
        assert shop.value("shop_orders_total", kind="book") == 400
        assert shop.value("shop_process_resident_memory_bytes", worker="web-0") > 0
        assert "shop_worker_threads" not in shop.fetch("/metrics")[1]
        assert "this worker class has no threads to tell of" in shop.log.read_text()


def test_check_of_a_configuration_leaves_nothing(programs: Path, tmp_path: Path) -> None:
    directory = write(tmp_path / "ours", OURS, INSTALL)
    env = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "ours")}
    command = [str(programs / "gunicorn"), "--check-config", "app"]
    subprocess.run(command, cwd=directory, env=env, check=True, timeout=60)
    assert not list(directory.glob("prefork-metrics-*"))


def test_application_that_is_loaded_before_the_fork_counts_as_exactly(
    programs: Path, tmp_path: Path
) -> None:
    directory = write(tmp_path / "ours", OURS, LOGGED + INSTALL)
    with Shop(programs, directory, "--preload") as shop:
        assert shop.load(200) == (200, 0)
        time.sleep(0.1)
        shop.kill_one()
        assert shop.load(200) == (200, 0)
        wait_until(lambda: shop.value("shop_workers") == WORKERS, 20)
        assert shop.value("shop_orders_total") == 400
        assert "goes quiet" not in shop.log.read_text()
