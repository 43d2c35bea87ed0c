"""What checks say of what a whole installation does not do on demand (see tests/end_to_end)."""

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from app.core import deadline, setting_names
from app.core.errors import StorageBusyError
from app.core.setting_names import Retired
from app.core.settings import Settings
from app.doctor.checks import (
    agent,
    alertmanager,
    clocks,
    collector,
    images,
    probe,
    prometheus,
    web,
)
from app.doctor.checks import database as database_check
from app.doctor.checks import engine as engine_check
from app.doctor.checks import settings as settings_check
from app.doctor.findings import Finding, Outcome
from app.doctor.looks import Records
from app.domain.alerts.build import build_heartbeat
from app.domain.alerts.heartbeat import NAME
from app.domain.probe.rounds import Outcome as Ended
from app.domain.probe.rounds import ProbeRounds
from app.engine import DockerEngine
from app.engine.translation import translate
from app.storage import (
    AgentReport,
    Alert,
    AlertHeartbeat,
    Database,
    Environment,
    ImagePull,
    ProbeRound,
    Process,
    PullPolicy,
    PullStatus,
    Report,
    revisions,
    utc_now,
)
from app.stores.build import Stores
from app.stores.http import Store
from app.stores.prometheus import SETTING, PrometheusStore
from monitoring.rules import thresholds
from prefork_metrics.directory import Owner
from scripts import log_events
from tests.backends.nginx import make_certificate
from tests.backends.otlp_sink import Behaviour, OtlpSink
from tests.explaining.world import JOB, firing, rule, vector
from tests.storage.support import add_environment
from tests.support.fakes import Failure, FakeEngine
from tests.support.stand_in import StandIn

TOKEN = Settings(alerts_token="secret")
MANAGER = "http://alertmanager:9093/api/v2/alerts"
MINUTE = timedelta(minutes=1)


def said(finding: Finding) -> tuple[str, str]:
    return str(finding.outcome), finding.says


@pytest.fixture
def peer() -> Iterator[StandIn]:
    with closing(StandIn()) as peer:
        yield peer


class Watcher:
    """A Prometheus that answers as it is told to."""

    def __init__(self, peer: StandIn) -> None:
        self.peer = peer
        self.up: list[tuple[dict[str, str], float]] = [({**JOB, "instance": "us"}, 1)]
        self.targets: list[dict[str, Any]] = []
        self.managers = [MANAGER]
        self.refused: list[tuple[dict[str, str], float]] = []
        self.failed_webhooks = False
        self.alerts: list[dict[str, Any]] = []
        peer.answers = {
            "/api/v1/query": self._query,
            "/api/v1/targets": lambda _: {"data": {"activeTargets": self.targets}},
            "/api/v1/alertmanagers": lambda _: {
                "data": {"activeAlertmanagers": [{"url": url} for url in self.managers]}
            },
            "/api/v1/rules": lambda _: {
                "data": {"groups": [{"rules": [rule("Slow", "vector(1)", *self.alerts)]}]}
            },
        }
        self.store = PrometheusStore(Store(SETTING, peer.url))

    def _query(self, asked: Any) -> Any:
        query = asked["query"]
        if "alertmanager_notifications_failed_total" in query:
            return vector(({}, 3)) if self.failed_webhooks else vector()
        if "increase(" in query:
            return vector(*self.refused)
        return vector(*self.up) if query.startswith("up{") else vector()


@pytest.fixture
def watcher(peer: StandIn) -> Watcher:
    return Watcher(peer)


def test_name_of_an_earlier_release_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_check.look().outcome is Outcome.OK
    monkeypatch.setitem(setting_names.RETIRED, "VIBEBOX_OLD", Retired(None, "set NEW"))
    monkeypatch.setenv("VIBEBOX_OLD", "1")
    assert said(settings_check.look()) == (
        "warning",
        "VIBEBOX_OLD is no setting any more: set NEW.",
    )


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("0.0.0.0:3000", "http://127.0.0.1:3000"),
        ("[::]:3000", "http://[::1]:3000"),
        ("[fe80::1]:3000", "http://[fe80::1]:3000"),
        ("unix:/run/x.sock", None),
        ("unix:/run/x.sock, localhost:80", "http://localhost:80"),
        ("fd://3", None),
        ("", None),
    ],
)
def test_web_server_is_asked_where_it_listens(bound: str, expected: str | None) -> None:
    owner = Owner(1, socket.gethostname(), bound)
    assert web.address(owner, Settings()) == expected
    assert web.address(Owner(1, "another", bound), Settings()) is None
    assert web.address(owner, Settings(gunicorn_cmd_args="--certfile x")) is None


def test_clock_of_the_engines_host(database: Database, engine: FakeEngine) -> None:
    assert clocks.look(Records(database), engine).outcome is Outcome.OK
    engine.clock_ahead = timedelta(seconds=30)
    outcome, says = said(clocks.look(Records(database), engine))
    assert outcome == "failed" and "that of Docker Engine 30 s ahead" in says
    engine.failures["clock"] = Failure.UNREACHABLE
    assert said(clocks.look(Records(database), engine)) == (
        "ok",
        "The clocks of this host and of the database agree.",
    )


def test_clocks_that_nobody_shows(tmp_path: Path, engine: FakeEngine) -> None:
    engine.failures["clock"] = Failure.TIMED_OUT
    database = Database(f"sqlite:///{tmp_path}/none.db")
    assert clocks.look(Records(database), engine).outcome is Outcome.SKIPPED
    database.dispose()


def test_records_are_read_one_after_the_other(database: Database) -> None:
    """An examination takes no more connections of a worker than a request does."""
    records = Records(database)
    with records.reading(), deadline.within(0.05):
        with pytest.raises(StorageBusyError), records.reading():
            raise AssertionError("two at once")
    with records.reading() as session:
        assert session.scalar(select(1)) == 1


def pulled(database: Database, *statuses: PullStatus) -> None:
    """Note pulls of one image, a minute after each other."""
    with database.writing() as session:
        environment = add_environment(session)
        for number, status in enumerate(statuses):
            session.execute(
                insert(ImagePull).values(
                    environment_id=environment.id,
                    image="python:3.11",
                    status=status,
                    error="image-pull-failed" if status is PullStatus.FAILED else None,
                    finished_at=utc_now() - (len(statuses) - number) * MINUTE,
                )
            )


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((PullStatus.DONE, PullStatus.FAILED), "warning"),
        ((PullStatus.FAILED,), "ok"),  # a name that never was right
        ((PullStatus.DONE, PullStatus.FAILED, PullStatus.DONE), "ok"),
    ],
)
def test_pulls_that_worked_go_on_to(
    database: Database, engine: FakeEngine, statuses: tuple[PullStatus, ...], outcome: str
) -> None:
    pulled(database, *statuses)
    found = images.look(Records(database), engine)
    assert found.outcome == outcome
    assert ("python:3.11" in found.says) == (outcome == "warning")


def test_images_that_never_ran_are_their_owners_matter(
    database: Database, engine: FakeEngine
) -> None:
    with database.writing() as session:
        made = session.get_one(Environment, add_environment(session).id)
        made.pull = PullPolicy.NEVER
    assert images.look(Records(database), engine).outcome is Outcome.OK
    with database.writing() as session:
        session.get_one(Environment, made.id).exited_at = utc_now()
    assert images.look(Records(database), engine).outcome is Outcome.WARNING
    engine.images.add("python:3.11")
    assert images.look(Records(database), engine).outcome is Outcome.OK


def test_agent_that_has_just_begun_has_not_compared_yet(database: Database) -> None:
    assert agent.look_at_sweeps(Records(database), Settings()).outcome is Outcome.OK


@pytest.mark.parametrize("call", ["ping", "verify"])
@pytest.mark.parametrize("failure", [Failure.UNREACHABLE, Failure.TIMED_OUT, Failure.FAULTY])
def test_engine_that_fails_in_any_way(engine: FakeEngine, call: str, failure: Failure) -> None:
    engine.failures[call] = failure
    found = engine_check.look(engine, "unix:///x")
    assert found.outcome is Outcome.FAILED and found.next_step


def test_next_step_where_no_engine_is_reached(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_text("")
    real = DockerEngine(f"unix://{tmp_path}/plain")
    found = engine_check.look(real, "unix:///plain")
    assert (found.next_step or "").startswith("Start it")
    real.close()

    def denied(**_: float) -> None:
        raise translate(PermissionError())

    monkeypatch.setattr(engine, "ping", denied)
    found = engine_check.look(engine, "unix:///x")
    assert "not allowed to use the socket of Docker Engine." in found.says
    assert (found.next_step or "").startswith("Add VibeBox's user to the group")


def test_what_is_no_engine_is_shown_by_its_answer(peer: StandIn) -> None:
    peer.status = 403
    peer.answers["/version"] = lambda _: b"<html>" * 1000
    engine = DockerEngine(peer.url.replace("http://", "tcp://"))
    found = engine_check.look(engine, peer.url)
    engine.close()
    assert "is no Docker Engine, or is broken: 403 " in found.says and len(found.says) < 400
    assert (found.next_step or "").startswith("Correct DOCKER_HOST")


@pytest.mark.parametrize(
    ("status", "step"), [(302, "Look at"), (404, "Look at"), (502, "Start it")]
)
def test_status_of_who_is_no_prometheus(watcher: Watcher, status: int, step: str) -> None:
    watcher.peer.status = status
    found = prometheus.look(watcher.store)
    assert f"status {status}." in found.says and (found.next_step or "").startswith(step)


def test_who_may_not_look_is_told_to_be_another_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def denied(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    database = Database(f"sqlite:///{tmp_path}/none.db")
    monkeypatch.setattr(Path, "exists", denied)
    monkeypatch.setattr(Path, "is_dir", denied)
    found = database_check.look(database)
    database.dispose()
    assert "cannot be looked at (Permission denied)." in found.says
    assert (found.next_step or "").startswith("Run this as the user of the service")
    assert web.look(Settings()).outcome is Outcome.SKIPPED


def test_prometheus_that_reaches_some(watcher: Watcher) -> None:
    watcher.up.append(({**JOB, "instance": "other"}, 0))
    watcher.targets = [{"labels": {**JOB, "instance": "other"}, "lastError": "no route to host"}]
    assert said(prometheus.look(watcher.store)) == (
        "warning",
        "Prometheus does not scrape other: no route to host.",
    )
    del watcher.peer.answers["/api/v1/targets"]  # it is written to, and scrapes nothing itself
    assert "no reason is told" in prometheus.look(watcher.store).says


def test_prometheus_that_has_just_begun(watcher: Watcher) -> None:
    watcher.up = []
    watcher.targets = [{"labels": {**JOB, "instance": "us"}, "lastError": ""}]
    assert said(prometheus.look(watcher.store)) == (
        "warning",
        "Prometheus has not scraped us yet.",
    )


def test_what_is_no_prometheus(watcher: Watcher) -> None:
    watcher.peer.answers["/api/v1/query"] = lambda _: b"<html>"
    assert "does not speak" in prometheus.look(watcher.store).says


def heard(database: Database, ago: timedelta) -> None:
    moment = utc_now() - ago
    with database.writing() as session:
        session.add(
            Alert(
                fingerprint="f",
                starts_at=moment,
                ends_at=moment,
                resolved=True,
                heard_at=moment,
                labels={},
                annotations={},
                generator_url="",
            )
        )


def way(database: Database, store: PrometheusStore | None, settings: Settings = TOKEN) -> Finding:
    """Return what is said of the way of alerts."""
    heartbeat = build_heartbeat(settings, database)
    stores = Stores(store, None, None)
    return alertmanager.look(settings, Records(database), heartbeat, stores)


def beat(database: Database, ago: timedelta | None) -> None:
    """Pretend that the last heartbeat came so long ago; None: that it never has."""
    at = utc_now() - (ago or 2 * timedelta(days=1))
    with database.writing() as session:
        row = AlertHeartbeat(name=NAME, expected_since=at)
        row.heard_at = row.beat_at = None if ago is None else at
        session.merge(row)


def test_heartbeat_of_alerting(database: Database, watcher: Watcher) -> None:
    beat(database, MINUTE)
    assert said(way(database, watcher.store)) == (
        "ok",
        "The last heartbeat of alerting came 1 min ago; no notification has come within a day.",
    )
    # Prometheus has another rule.
    beat(database, 10 * MINUTE)
    assert said(way(database, watcher.store)) == (
        "failed",
        "The last heartbeat of alerting came 10 min ago: Prometheus has no rule Watchdog.",
    )
    beat(database, None)
    assert said(way(database, watcher.store)) == (
        "warning",
        "No heartbeat of alerting has ever come: Prometheus has no rule Watchdog.",
    )
    assert way(database, None).next_step == (
        "Set VIBEBOX_PROMETHEUS_URL, and see that Prometheus has the rule Watchdog."
    )
    # After a stop of the whole service.
    beat(database, 10 * MINUTE)
    with database.writing() as session:
        session.add(Process(id="one", place="web"))
    outcome, says = said(way(database, watcher.store))
    assert (outcome, says[:20]) == ("ok", "VibeBox has started ") and "waits for the" in says
    off = Settings(alerts_token="secret", alerts_heartbeat=0)
    assert way(database, watcher.store, off).outcome is Outcome.OK


def test_notifications_without_a_prometheus(database: Database) -> None:
    assert way(database, None, Settings()).outcome is Outcome.NOT_CONFIGURED
    assert way(database, None).outcome is Outcome.WARNING
    heard(database, 3 * MINUTE)
    assert said(way(database, None)) == (
        "ok",
        "The last notification came 3 min ago.",
    )


def test_way_of_alerts_on_which_nothing_is_due(database: Database, watcher: Watcher) -> None:
    assert said(way(database, watcher.store)) == (
        "ok",
        "Prometheus sends alerts to Alertmanager; no notification has come within a day.",
    )


def test_alert_that_nobody_has_told_of(database: Database, watcher: Watcher) -> None:
    watcher.alerts = [firing("Slow"), {**firing("Slow"), "state": "pending"}]
    outcome, says = said(way(database, watcher.store))
    assert (outcome, says[:27]) == ("warning", "Slow fires in Prometheus, a")
    # What fires since a moment ago may be on its way.
    watcher.alerts = [{**firing("Slow"), "activeAt": utc_now().isoformat()}]
    assert way(database, watcher.store).outcome is Outcome.OK
    watcher.alerts = [firing("Slow")]
    heard(database, MINUTE)
    assert way(database, watcher.store).outcome is Outcome.OK


@pytest.mark.parametrize("last", [None, 2 * MINUTE])
def test_notifications_that_fail(
    database: Database, watcher: Watcher, last: timedelta | None
) -> None:
    if last is not None:
        heard(database, last)
    watcher.failed_webhooks = True
    assert "cannot deliver" in way(database, watcher.store).says
    watcher.refused = [({"status_code": "413"}, 2)]
    assert "status 413" in way(database, watcher.store).says
    # Only what came since the last one that was taken.
    (asked,) = [asked["query"] for _, asked in watcher.peer.asked[-1:]]
    # Seconds may pass between the two looks at the clock.
    assert re.search(r"\[600s\]" if last is None else r"\[12\ds\]", asked)


def test_without_prometheus_answer_nothing_is_known(database: Database, watcher: Watcher) -> None:
    watcher.peer.status = 503
    assert way(database, watcher.store).outcome is Outcome.SKIPPED


Sent = Callable[..., Finding]


@pytest.fixture
def sent(sink: OtlpSink) -> Sent:
    """Looks at a receiver that behaves so."""

    def look(*behaviours: Behaviour, **settings: Any) -> Finding:
        sink.behave(*behaviours)
        settings.setdefault("otel_exporter_otlp_endpoint", sink.url)
        return collector.look(Settings(**settings))

    return look


def test_certificate_that_nobody_trusts(peer: StandIn, sent: Sent, tmp_path: Path) -> None:
    files = tmp_path / "certificate", tmp_path / "key"
    make_certificate("localhost", *files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    url = peer.url.replace("http://", "https://")
    says = prometheus.look(PrometheusStore(Store(SETTING, url))).says
    assert "does not speak TLS" in says

    peer.socket = context.wrap_socket(peer.socket, server_side=True)
    found = prometheus.look(PrometheusStore(Store(SETTING, url)))
    assert "(self-signed certificate)" in found.says
    assert (found.next_step or "").startswith("Renew it")
    assert (sent(otel_exporter_otlp_endpoint=url).next_step or "").startswith("Renew its")


def test_receivers_of_all_that_is_sent(sent: Sent, sink: OtlpSink) -> None:
    found = sent(
        otel_metrics_exporter="otlp",
        otel_exporter_otlp_headers="x-key=secret",
        otel_exporter_otlp_compression="gzip",
        user_otlp_endpoint=f"{sink.url}/users",
        user_otlp_headers="x-key=theirs",
    )
    assert said(found) == ("ok", "Receivers answer for traces, metrics, logs, users' programs.")
    asked = [(one["path"], one["x-key"]) for one in (*sink.requests, *sink.log_requests)]
    assert sorted(asked) == [
        ("/users/v1/traces", "theirs"),
        ("/v1/logs", "secret"),
        ("/v1/metrics", "secret"),
        ("/v1/traces", "secret"),
    ]
    assert sink.spans == [] and sink.records == [] and sink.points == {}


def test_what_wants_more_than_an_empty_message_answers(sent: Sent) -> None:
    assert sent(*[Behaviour(status=400)] * 2).outcome is Outcome.OK


def test_receiver_that_has_no_room(sent: Sent) -> None:
    found = sent(Behaviour(status=503))
    assert said(found)[1].endswith("does not take them: status 503.")


def test_temporality_that_a_receiver_refuses(sent: Sent, sink: OtlpSink) -> None:
    prometheus_url = f"{sink.url}/api/v1/otlp/v1/metrics"
    wrong = {
        "otel_metrics_exporter": "otlp",
        "otel_exporter_otlp_metrics_temporality_preference": "delta",
    }
    doubted = sent(otel_exporter_otlp_metrics_endpoint=prometheus_url, **wrong)
    assert doubted.outcome is Outcome.WARNING
    refused = sent(otel_exporter_otlp_metrics_endpoint="https://otlp.grafana.net/x", **wrong)
    assert refused.outcome is Outcome.FAILED and "TEMPORALITY" in (refused.next_step or "")


def test_without_what_encodes_nothing_is_sent(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "is_installed", lambda: False)
    assert "vibebox[otel]" in (sent().next_step or "")


def test_events_of_the_log_that_are_named_are_logged() -> None:
    source = "".join(path.read_text() for path in Path(images.__file__).parents[1].rglob("*.py"))
    named = re.findall(r"`([a-z ]+)`(?= (?:and|in) )", source)
    assert set(named) >= {"pulled start failed", "request", "work failed", "work waits"}
    # The page lists what the code logs, as a test of the page holds.
    assert set(named) <= set(log_events.descriptions(log_events.PAGE.read_text()))


def test_schema_that_the_database_has_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = revisions.expected_revision()
    assert f"has schema revision {newest}, and takes" in database_check.look(database).says
    older = f"{int(newest) - 1:04}"
    for module in (revisions, database_check):  # as a release from before would see it
        monkeypatch.setattr(module, "expected_revision", lambda: older)
    says = database_check.look(database).says
    assert f"{newest} (which serves this release's {older} too), and takes" in says


CRON = Settings(probe_url="http://127.0.0.1:1", probe="cron", probe_interval=60)


def passed(database: Database, ago: float, step: str | None = None) -> None:
    """Have a round of the synthetic user been finished so many seconds ago."""
    rounds, at = ProbeRounds(database), utc_now() - timedelta(seconds=ago)
    id = rounds.begin("command", 60)
    says = None if step is None else "It fails."
    rounds.finish(id, Ended({}, step, says, says and "Mend it."))
    with database.writing() as session:
        moved = {"started_at": at, "finished_at": at}
        session.execute(update(ProbeRound).where(ProbeRound.id == id).values(moved))


def test_synthetic_user(database: Database) -> None:
    records = Records(database)
    off = probe.look(Settings(), records)
    assert off.outcome is Outcome.NOT_CONFIGURED and "VIBEBOX_PROBE is off" in off.says

    def look(settings: Settings = CRON) -> tuple[str, str]:
        return said(probe.look(settings, records))

    awaited = "The first round of the synthetic user is awaited."
    assert look() == ("ok", awaited)
    with database.writing() as session:
        long_ago = utc_now() - timedelta(seconds=400)
        session.add(AgentReport(name=Report.PROBE, value=0.0, at=long_ago))
    assert look()[0] == "warning" and "cron" in (probe.look(CRON, records).next_step or "")
    passed(database, 300, "sign_in")
    passed(database, 240, "start")
    assert look() == (
        "failed",
        "2 rounds of the synthetic user in a row failed, the last at the step start, 4 min ago: "
        "It fails.",
    )
    assert probe.look(CRON, records).next_step == "Mend it."
    passed(database, 200)
    assert look()[0] == "warning"
    agents = CRON.model_copy(update={"probe": "agent"})
    assert "agent's log" in (probe.look(agents, records).next_step or "")
    passed(database, 100)
    assert look() == ("ok", "The synthetic user came through all steps 2 min ago.")
    passed(database, 1, "sign_in")
    assert look() == (
        "failed",
        "The last round of the synthetic user failed at the step sign in, 1 s ago: It fails.",
    )


def test_rounds_are_missed_when_the_alert_says_so() -> None:
    assert probe.MISSED == thresholds.PROBE_ROUNDS
