"""A service under watch: VibeBox, Prometheus, Alertmanager with what is shipped, a receiver."""

import copy
import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

import yaml

from app.explaining.answer import Explanation
from app.explaining.build import build
from app.explaining.kinds import Kind
from app.explaining.readers import Shell
from app.explaining.recorded import Recorded
from app.storage import Database
from app.stores.build import Stores
from app.stores.http import Store
from app.stores.prometheus import PrometheusStore
from app.stores.traces import TraceStore
from tests.backends.agent import Agent
from tests.backends.alertmanager import Alertmanager
from tests.backends.docker_engine import DockerEngine
from tests.backends.fault_proxy import FaultProxy
from tests.backends.jaeger import Jaeger
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.prometheus import Prometheus
from tests.backends.web import ROOT, WebServer
from tests.end_to_end.alerts import scaling
from tests.end_to_end.alerts.receiver import Receiver
from tests.end_to_end.api import Api
from tests.monitoring.routing import CONFIG
from tests.monitoring.rules import FILES, PROMETHEUS

SCRAPE_SECONDS, LEAST_SCRAPE_SECONDS = 15, 1
ADA = "ada@example.org"
GRAFANA_URL, CONSOLE_URL = "https://grafana.test/", "https://vibebox.test/"
SETTINGS = {
    # Durations of the service that an alert's own would have to be compared with.
    "VIBEBOX_HEALTH_CHECK_INTERVAL": "0.5",
    "VIBEBOX_HEALTH_CHECK_TIMEOUT": "0.5",
    "VIBEBOX_SCRAPE_TIMEOUT": "0.4",
    # One account has all of them.
    "VIBEBOX_WEBSOCKETS": "1",
}
# A release with a few more routes, through which a test does harm from within.
HARM = """
import ctypes
import threading

_libc = ctypes.PyDLL(None)  # unlike CDLL, it keeps the interpreter's lock during a call
_kept = []


def _burn(ms):
    import time
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        pass
    return ""


def _fill(mb):
    _kept.append(b"x" * (mb << 20))
    return ""


def _spin(seconds):
    import time
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return ""


def _beside_slow(number):
    threading.Event().wait(0.1 * number)
    return ""


def _beside_failing(number):
    raise RuntimeError(f"what somebody else does wrong: {number}")


def _wait(seconds):
    return str(threading.Event().wait(seconds))


def _fail():
    raise RuntimeError("what nobody foresaw")


app.add_url_rule("/hold/<int:ms>", view_func=lambda ms: str(_libc.usleep(ms * 1000)))
app.add_url_rule("/burn/<int:ms>", endpoint="burn", view_func=_burn)
app.add_url_rule("/fill/<int:mb>", endpoint="fill", view_func=_fill)
app.add_url_rule("/spin/<int:seconds>", endpoint="spin", view_func=_spin)
app.add_url_rule("/wait/<int:seconds>", endpoint="wait", view_func=_wait)
app.add_url_rule("/fail", endpoint="fail", view_func=_fail)
for _number in (1, 2, 3):
    app.add_url_rule(
        f"/slow/{_number}", f"slow{_number}", _beside_slow, defaults={"number": _number}
    )
    app.add_url_rule(
        f"/failing/{_number}", f"failing{_number}", _beside_failing, defaults={"number": _number}
    )
"""


def harmful_release(directory: Path) -> Path:
    """Return a copy of the service with the routes of HARM."""
    root = directory / "release"
    shutil.copytree(ROOT / "app", root / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "gunicorn.conf.py", root)
    with (root / "app" / "wsgi.py").open("a") as module:
        module.write(HARM)
    return root


class Stack:
    """Everything in `directory`, with durations divided by `factor`.

    With `postgresql` it has a database there, which the service reaches through `proxy`. It reaches
    `engine` through `docker`, and Prometheus the service through `way`.
    Traces go to a Jaeger, where one is installed. Prometheus knows three other targets, which are
    down.
    Attributes: server, agent, prometheus, alertmanager, receiver, jaeger, `api`, signed in, and
    `harmed`, what a fault was done to, by kind.
    """

    proxy: FaultProxy | None

    def __init__(
        self,
        directory: Path,
        env: Mapping[str, str] | None = None,
        *,
        engine: DockerEngine,
        postgresql: PostgreSQL | None = None,
        factor: float = 60,
        workers: int = 2,
        threads: int = 8,
    ) -> None:
        self.directory = directory
        self.database_url, self.proxy = "", None
        env = dict(env or {})
        if postgresql is not None:
            self.database_url = postgresql.new_database()
            self.proxy = FaultProxy(("127.0.0.1", postgresql.port))
            through = self.database_url.replace(f":{postgresql.port}/", f":{self.proxy.port}/")
            env["DATABASE_URL"] = through
        self.docker = FaultProxy(engine.socket_path, str(directory / "docker.sock"))
        env["DOCKER_HOST"] = self.docker.url
        self.factor = factor
        # A scrape has to be answered within it: at the factor of the tests, 1 s.
        self.interval = max(SCRAPE_SECONDS / factor, LEAST_SCRAPE_SECONDS)
        self.engine = engine
        self.harmed: dict[Kind, set[str]] = {}
        self._exit = ExitStack()
        self.jaeger = Jaeger() if Jaeger.installed() is None else None
        if self.jaeger is not None:
            env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{self.jaeger.otlp}/v1/traces"
        self.receiver = Receiver()
        self.server = WebServer(
            directory, {**SETTINGS, **env}, workers, threads, root=harmful_release(directory)
        )
        self.way = FaultProxy(("127.0.0.1", self.server.port))
        # Where there is a synthetic user, it comes this way too.
        self.server.set(VIBEBOX_PROBE_URL=f"http://127.0.0.1:{self.way.port}")
        self.agent = Agent.beside(self.server)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self.jaeger is not None:
                stack.enter_context(closing(self.jaeger))
            for proxy in filter(None, (self.proxy, self.docker, self.way)):
                stack.enter_context(proxy)
            stack.enter_context(self.receiver)
            stack.enter_context(self.server)
            stack.enter_context(closing(self.agent))
            self.agent.start()
            self.alertmanager = stack.enter_context(closing(Alertmanager(self._routes())))
            self.prometheus = stack.enter_context(closing(self._prometheus()))
            stack.callback(self._open_explanations().dispose)
            self.api = stack.enter_context(Api(self.server.url))
            self.api.register(ADA)
            self.api.login(ADA)
            self.prometheus.wait_for("up == 1", timeout=30)
            # Until the first scrape there is no target.
            wait_until(lambda: not self.firing(), 30)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *details: Any) -> None:
        self._exit.__exit__(*details)

    def _routes(self) -> str:
        """The shipped routes; every receiver is ours, and it is always office hours."""
        config = scaling.routes(copy.deepcopy(CONFIG), self.factor)
        for receiver in config["receivers"]:
            url = f"{self.receiver.url}/{receiver['name']}"
            kept = {"name": receiver["name"], "webhook_configs": [{"url": url}]}
            receiver.clear()
            receiver.update(kept)
        for route in config["route"]["routes"]:
            route.pop("active_time_intervals", None)
        return yaml.safe_dump(config)

    def _prometheus(self) -> Prometheus:
        shipped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        for name in FILES:
            document = yaml.safe_load((PROMETHEUS / name).read_text())
            scaled = scaling.rules(document, self.factor)
            (self.directory / name).write_text(yaml.safe_dump(scaled))
        extra = {
            "rule_files": [str(self.directory / name) for name in FILES],
            "alerting": {
                **shipped["alerting"],
                "alertmanagers": [{"static_configs": [{"targets": [self.alertmanager.target]}]}],
            },
        }
        return Prometheus(
            [f"127.0.0.1:{self.way.port}"],
            scrape_interval=f"{round(self.interval * 1000)}ms",
            extra_config="".join(f"{key}: {json.dumps(value)}\n" for key, value in extra.items()),
            external_labels=shipped["global"]["external_labels"],
            # As in docker-compose.yml, but for a feature that Prometheus 3 has switched on.
            flags=[
                "--enable-feature=expand-external-labels,exemplar-storage",
                f"--web.user-assets={PROMETHEUS.with_name('runbooks')}",
            ],
            env={"GRAFANA_URL": GRAFANA_URL, "RUNBOOKS_URL": "", "CONSOLE_URL": CONSOLE_URL},
            others={f"elsewhere-{number}": f"127.0.0.1:{number}" for number in (1, 2, 3)},
        )

    def explained(self, alert: str) -> Explanation:
        """Return the explanation of an alert, as `vibebox explain` finds it: not by the service."""
        return self._explanations.explain(self._reader, alert)

    def _open_explanations(self) -> Database:
        """Have alerts explained, through the connections that the service has."""
        traces = None
        if self.jaeger is not None:
            traces = TraceStore(Store("traces", self.jaeger.url), "vibebox")
        stores = Stores(PrometheusStore(Store("prometheus", self.prometheus.url)), traces, None)
        database = Database(self.server.env["DATABASE_URL"], connect_timeout=1, statement_timeout=2)
        self._explanations = build(stores, database)
        self._reader = Shell(Recorded(database))
        return database

    def firing(self) -> set[str]:
        """Return the alerts that fire now, but for the one that always does."""
        found = self.prometheus.query('ALERTS{alertstate="firing",alertname!="Watchdog"}')
        return {labels["alertname"] for labels, _ in found}

    def suppressed(self) -> set[str]:
        """Return the alerts that Alertmanager holds back now."""
        return {
            alert["labels"]["alertname"]
            for alert in self.alertmanager.alerts()
            if alert["status"]["state"] == "suppressed"
        }
