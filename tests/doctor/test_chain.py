"""Each link of the way of alerts is named by what Prometheus and Alertmanager say of it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from app.doctor import chain
from app.doctor.chain import Link
from app.domain.alerts.heartbeat import WATCHDOG, Cut, Pulse, State
from app.storage import utc_now
from app.stores import alertmanager as telling
from app.stores import prometheus as watching
from app.stores.alertmanager import AlertmanagerStore
from app.stores.build import Stores
from app.stores.http import Store
from app.stores.prometheus import PrometheusStore
from tests.explaining.world import firing, rule, vector
from tests.support.stand_in import StandIn

AGE = 400.0
SILENT = Pulse(State.MISSING, 180.0, utc_now(), utc_now(), AGE)
REPEATED = Pulse(State.MISSING, 180.0, utc_now(), utc_now() + timedelta(seconds=AGE - 10), AGE)


class Watchers:
    """A Prometheus and an Alertmanager in which all is well, until they are told otherwise."""

    def __init__(self, prometheus: StandIn, alertmanager: StandIn) -> None:
        self.prometheus, self.alertmanager = prometheus, alertmanager
        self.rules: list[Any] = [rule(WATCHDOG, "vector(time())", firing(WATCHDOG))]
        self.managers = ["http://alertmanager:9093/api/v2/alerts"]
        self.down: list[Any] = []
        self.refused: list[Any] = []
        self.undelivered: list[Any] = []
        self.held: list[Any] = [{"labels": {}, "status": {"state": "active"}}]
        prometheus.answers = {
            "/api/v1/rules": lambda _: {"data": {"groups": [{"rules": self.rules}]}},
            "/api/v1/query": self._query,
            "/api/v1/alertmanagers": lambda _: {
                "data": {"activeAlertmanagers": [{"url": url} for url in self.managers]}
            },
        }
        alertmanager.answers = {"/api/v2/alerts": lambda _: self.held}
        self.stores = Stores(
            PrometheusStore(Store(watching.SETTING, prometheus.url)),
            None,
            None,
            AlertmanagerStore(Store(telling.SETTING, alertmanager.url)),
        )

    def _query(self, asked: Any) -> Any:
        if "alertmanager_notifications_failed_total" in asked["query"]:
            return vector(*self.undelivered)
        return vector(*(self.refused if "increase(" in asked["query"] else self.down))

    def cut(self, pulse: Pulse = SILENT) -> Cut:
        return chain.find(pulse, self.stores)

    def without(self, name: str) -> None:
        kept = {one: getattr(self.stores, one) for one in ("prometheus", "alertmanager")}
        self.stores = Stores(traces=None, lines=None, **{**kept, name: None})


@pytest.fixture
def watchers() -> Iterator[Watchers]:
    with closing(StandIn()) as prometheus, closing(StandIn()) as alertmanager:
        yield Watchers(prometheus, alertmanager)


def no_rule(it: Watchers) -> None:
    it.rules = [rule("Slow", "vector(1)")]


def not_evaluated(it: Watchers) -> None:
    it.rules = [rule(WATCHDOG, "vector(time())")]


def prometheus_away(it: Watchers) -> None:
    it.prometheus.status = 503


def alertmanager_away(it: Watchers) -> None:
    it.alertmanager.status = 503


def not_sent(it: Watchers) -> None:
    it.held = []


def silenced(it: Watchers) -> None:
    it.held = [{"labels": {}, "status": {"state": "suppressed"}}]


def refused(it: Watchers) -> None:
    it.refused = [({"status_code": "401"}, 3)]


def undelivered(it: Watchers) -> None:
    it.undelivered = [({}, 3)]


def no_manager(it: Watchers) -> None:
    it.without("alertmanager")
    it.managers = []


def manager_down(it: Watchers) -> None:
    it.without("alertmanager")
    it.down = [({"instance": "alertmanager:9093"}, 0)]


CASES: dict[Callable[[Watchers], None], tuple[Link, str]] = {
    lambda _: None: (Link.ROUTE, "sends it nowhere that leads here"),
    no_rule: (Link.RULE, "no rule Watchdog"),
    not_evaluated: (Link.PROMETHEUS, "does not evaluate"),
    prometheus_away: (Link.PROMETHEUS, "(VIBEBOX_PROMETHEUS_URL) answers with status 503"),
    alertmanager_away: (Link.ALERTMANAGER, "(VIBEBOX_ALERTMANAGER_URL) answers with"),
    not_sent: (Link.SENDING, "does not have the alert"),
    silenced: (Link.ROUTE, "silenced or inhibited"),
    refused: (Link.WEBHOOK, "refused with status 401"),
    undelivered: (Link.WEBHOOK, "cannot deliver"),
    no_manager: (Link.SENDING, "to no Alertmanager"),
    manager_down: (Link.ALERTMANAGER, "does not reach Alertmanager at alertmanager:9093"),
}


@pytest.mark.parametrize("harm", CASES, ids=lambda harm: harm.__name__.strip("<>"))
def test_link_is_named_with_a_next_step(
    watchers: Watchers, harm: Callable[[Watchers], None]
) -> None:
    harm(watchers)
    found = watchers.cut()
    link, says = CASES[harm]
    assert (found.link, says in found.says, bool(found.next_step)) == (link, True, True), found


def test_what_is_only_repeated_has_no_prometheus_behind_it(watchers: Watchers) -> None:
    assert watchers.cut(REPEATED).link == Link.SENDING
    watchers.without("prometheus")
    assert watchers.cut(REPEATED).link == Link.PROMETHEUS
    assert watchers.cut().link == Link.UNKNOWN


def test_without_stores_it_is_said_that_nobody_can_be_asked(watchers: Watchers) -> None:
    for name, setting in (("alertmanager", telling.SETTING), ("prometheus", watching.SETTING)):
        watchers.without(name)
        found = watchers.cut()
        assert (found.link, setting in found.next_step) == (Link.UNKNOWN, True)


def test_counters_are_looked_at_since_the_last_beat(watchers: Watchers) -> None:
    watchers.cut()
    asked = [str(query) for path, query in watchers.prometheus.asked if path.endswith("query")]
    assert len(asked) == 2 and all("[400s]" in query for query in asked)
