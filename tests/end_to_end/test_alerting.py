"""The way of alerts is cut at each link: it is missed in time, and the link is named.

What is shipped, with its durations divided by FACTOR: 5 minutes are 5 seconds.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from playwright.sync_api import expect

from app.cli.main import main
from app.domain.accounts.operators import set_operator
from app.storage import Database
from tests.backends.agent import Agent
from tests.backends.alertmanager import Alertmanager
from tests.backends.browser import browser, missing_browser
from tests.backends.programs import wait_until
from tests.backends.prometheus import Prometheus
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require
from tests.end_to_end.alerts import scaling
from tests.end_to_end.api import PASSWORD, Api
from tests.monitoring.routing import silent
from tests.monitoring.rules import ALERTS
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]

EMAIL, TOKEN = "ada@example.org", "told-by-alertmanager"
FACTOR = 60
NOTICED = 5 * 60 / FACTOR
"""Seconds within which it has to be noticed."""
SLACK = 2.0
"""What a machine with other work may take on top."""
PATIENCE = 30.0
RESEND = "--rules.alert.resend-delay=1s"
"""A minute, as Prometheus has it, divided."""
Undo = Callable[[], object]


@dataclass
class Chain:
    """Prometheus with its file of rules, Alertmanager and VibeBox, one after the other."""

    rules: Path
    server: WebServer
    agent: Agent
    prometheus: Prometheus
    alertmanager: Alertmanager
    api: Api

    def pulse(self) -> dict[str, Any]:
        answer = self.api.call("GET", "/alerts/heartbeat")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def link(self) -> str | None:
        """Return the link that is named, while the heartbeat is missing."""
        found = self.pulse()
        return found["cut"]["link"] if found["cut"] and found["state"] == "missing" else None

    def doctor(self) -> dict[str, str]:
        """Return what `vibebox doctor` says of monitoring."""
        found = CliRunner().invoke(main, ["doctor", "--json"], env=self.server.env)
        checks = {one["name"]: one for one in json.loads(found.output)["checks"]}
        return {
            name: f"{checks[name]['outcome']}: {checks[name]['says']}"
            for name in ("prometheus", "alertmanager")
        }


def routes(url: str) -> dict[str, Any]:
    """Return the shipped routes; of their receivers the heartbeat's tells, and it tells us."""
    config: dict[str, Any] = scaling.routes(silent(), FACTOR)
    hook = {
        "url": f"{url}/api/v1/alerts",
        "send_resolved": False,
        "http_config": {"authorization": {"credentials_file": "token"}},
    }
    next(it for it in config["receivers"] if it["name"] == "heartbeat")["webhook_configs"] = [hook]
    return config


def rules(*found: Any) -> str:
    """Return a file of rules."""
    return yaml.safe_dump({"groups": [{"name": "alerting", "rules": list(found)}]})


@pytest.fixture
def chain(
    tmp_path: Path,
    web_server: WebServerFactory,
    prometheus: Callable[..., Prometheus],
    alertmanager: Callable[..., Alertmanager],
) -> Iterator[Chain]:
    require("Alertmanager", Alertmanager.installed())
    server = web_server({"VIBEBOX_ALERTS_TOKEN": TOKEN}, workers=1, start=False)
    manager = alertmanager(json.dumps(routes(server.url)), files={"token": TOKEN})
    file = tmp_path / "alerts.yml"
    file.write_text(rules(ALERTS["Watchdog"]))
    alerting = {"alertmanagers": [{"static_configs": [{"targets": [manager.target]}]}]}
    watcher = prometheus(
        [f"127.0.0.1:{server.port}"],
        scrape_interval="250ms",
        extra_config=f"rule_files: [{file}]\nalerting: {json.dumps(alerting)}\n",
        flags=[RESEND],
        others={"alertmanager": manager.target},
    )
    server.set(
        VIBEBOX_PROMETHEUS_URL=watcher.url,
        VIBEBOX_ALERTMANAGER_URL=manager.url,
        VIBEBOX_ALERTS_HEARTBEAT=f"{180 / FACTOR:g}",
    )
    server.start()
    with closing(Agent.beside(server).start()) as agent, Api(server.url) as api:
        api.register(EMAIL)
        database = Database(server.env["DATABASE_URL"], connect_timeout=1, statement_timeout=2)
        set_operator(database, EMAIL, operator=True)
        database.dispose()
        api.login(EMAIL)
        yield Chain(file, server, agent, watcher, manager, api)


def rule_off(it: Chain) -> Undo:
    it.rules.write_text(rules())
    it.prometheus.reload()

    def on() -> None:
        it.rules.write_text(rules(ALERTS["Watchdog"]))
        it.prometheus.reload()

    return on


def route_broken(it: Chain) -> Undo:
    """The heartbeat is sent where the other alerts go, of which nothing leads here."""
    config = routes(it.server.url)
    config["route"]["routes"].pop(0)
    it.alertmanager.reload(json.dumps(config))
    return lambda: it.alertmanager.reload(json.dumps(routes(it.server.url)))


def webhook_refused(it: Chain) -> Undo:
    token = it.alertmanager.config_file.with_name("token")
    token.write_text("another")
    return lambda: token.write_text(TOKEN)


def alertmanager_stopped(it: Chain) -> Undo:
    it.alertmanager.stop()
    return it.alertmanager.start


def prometheus_stopped(it: Chain) -> Undo:
    """Alertmanager goes on telling what it heard last."""
    it.prometheus.close()
    return it.prometheus.close


@dataclass(frozen=True)
class Case:
    """What is cut, the link that is named, and the doctor's check that names it."""

    cut: Callable[[Chain], Undo]
    link: str
    check: str = "alertmanager"


CASES = [
    Case(rule_off, "rule"),
    Case(route_broken, "route"),
    Case(webhook_refused, "webhook"),
    Case(alertmanager_stopped, "alertmanager"),
]
LAST = Case(prometheus_stopped, "prometheus", "prometheus")
"""It does not come back: by then no other link can be looked at."""


def noticed(it: Chain, case: Case) -> Undo:
    """Cut the chain there, and wait until that is told; return what mends it."""
    before = it.agent.events("alerting is silent")
    cut_at = time.monotonic()
    undo = case.cut(it)
    wait_until(lambda: it.link() is not None, PATIENCE, 0.05)
    seconds = time.monotonic() - cut_at
    print(f"{case.link}: noticed after {seconds:.1f} s, which are {seconds * FACTOR:.0f} s")
    # What is seen first may be of the link before: a scrape, or a message that is under way.
    wait_until(lambda: it.link() == case.link, PATIENCE, 0.1, otherwise=lambda: str(it.pulse()))
    assert seconds < NOTICED + SLACK
    it.agent.wait_event("alerting is silent", before + 1)
    assert it.server.metric("vibebox_alerting_heartbeat_age_seconds") > 180 / FACTOR
    said = it.doctor()
    assert [name for name, says in said.items() if says.startswith("failed")] == [case.check], said
    return undo


def test_cut_is_noticed_in_time_and_its_link_named(chain: Chain) -> None:
    wait_until(lambda: chain.pulse()["state"] == "beating", PATIENCE, 0.1)
    for case in size([CASES[2]], CASES):
        noticed(chain, case)()
        wait_until(lambda: chain.pulse()["state"] == "beating", PATIENCE, 0.1)
        # Of what was refused the counters tell for as long as they are asked for.
        wait_until(lambda: "ok" in chain.doctor()["alertmanager"], PATIENCE, 0.2)
    assert chain.api.call("GET", "/alerts?ended=true").json()["items"] == []
    noticed(chain, LAST)
    operators_are_told(chain)


def operators_are_told(chain: Chain) -> None:
    """The console says it on each page, where no alert has to arrive."""
    require("Chromium", missing_browser())
    with browser() as chromium:
        page = chromium.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(chain.server.url)
        page.get_by_label("E-mail address").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        told = page.locator("#trouble")
        expect(told).to_contain_text("No heartbeat of alerting for 1 min: what fires is told to")
        expect(told).to_contain_text("The chain is cut at prometheus: Prometheus (VIBEBOX_P")
