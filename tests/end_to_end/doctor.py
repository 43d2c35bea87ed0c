"""A whole installation with services of its own, and what may go wrong with it, one at a time.

Who is examined is the same every time; what a fault of the settings changes is what the doctor is
told, as if the service had been started so.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, chdir, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from app.cli.main import main
from app.domain.probe.rounds import Outcome, ProbeRounds
from app.storage import Database
from monitoring.rules.alerts import alerting
from monitoring.rules.rule import Links
from monitoring.rules.writing import document, text
from tests.backends import scratch, wrong_clock
from tests.backends.agent import Agent
from tests.backends.alertmanager import Alertmanager
from tests.backends.docker_engine import DockerEngine
from tests.backends.otlp_sink import Behaviour, OtlpSink
from tests.backends.postgresql import GUARDED, PostgreSQL
from tests.backends.programs import ServiceError, free_port, wait_until
from tests.backends.prometheus import Prometheus
from tests.backends.web import ROOT, WebServer
from tests.conftest import require, shared
from tests.end_to_end import harms
from tests.end_to_end.api import Api
from tests.end_to_end.harms import Undo
from tests.sizes import FULL

TOKEN = "told-by-alertmanager"
MANY = 50
LABELS = {"alertname": "Slow", "severity": "warning", "job": "vibebox-backend"}
Settings = dict[str, str]


@dataclass
class Installation:
    """A VibeBox with all that it may be told to talk to."""

    directory: Path
    database: PostgreSQL
    engine: DockerEngine
    server: WebServer
    agent: Agent
    prometheus: Prometheus
    others: Mapping[str, Prometheus]
    """Prometheus as somebody has set it up wrongly, by what is wrong."""
    alertmanager: Alertmanager
    sink: OtlpSink

    @property
    def metrics_disk(self) -> Path:
        return self.directory / "metrics-disk"

    @property
    def metrics(self) -> Path:
        return self.metrics_disk / "metrics"

    @property
    def settings(self) -> Settings:
        """What the doctor is told where nothing is wrong."""
        return {
            **self.server.env,
            "VIBEBOX_PROMETHEUS_URL": self.prometheus.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.sink.url,
        }

    def examined(self, settings: Settings | None = None) -> dict[str, Any]:
        """Return what `vibebox doctor --json` says, of this process."""
        told = {**self.settings, **(settings or {})}
        with chdir(self.directory):  # away from the .env of a checkout
            found = CliRunner().invoke(main, ["doctor", "--json"], env=told)
        assert found.exit_code in (0, 1, 2) and not _crashed(found.exception), found.output
        answer: dict[str, Any] = json.loads(found.output)
        assert found.exit_code == {"ok": 0, "warning": 1, "failed": 2}[answer["outcome"]]
        return answer

    def command(self, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run `vibebox doctor` as an operator does."""
        return subprocess.run(
            [*COMMAND, *options],
            env={**self.settings, **settings},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def named(self, settings: Settings | None = None) -> dict[str, str]:
        """Return what is wrong, by the check that says so."""
        checks = self.examined(settings)["checks"]
        wrong = [one for one in checks if one["outcome"] in ("warning", "failed")]
        assert all(one["next_step"] for one in wrong), wrong
        return {one["name"]: f"{one['outcome']}: {one['says']}" for one in wrong}


COMMAND = [str(Path(sys.executable).with_name("vibebox")), "doctor"]


def _crashed(exception: BaseException | None) -> bool:
    return exception is not None and not isinstance(exception, SystemExit)


def teller(url: str) -> str:
    """Return a configuration of Alertmanager that tells at once."""
    authorization = {"credentials_file": "token"}
    webhook = {"url": f"{url}/api/v1/alerts", "http_config": {"authorization": authorization}}
    route = {
        "receiver": "vibebox",
        "group_wait": "10ms",
        "group_interval": "1s",
        "repeat_interval": "1h",
        "routes": [
            {
                "receiver": "vibebox",
                "matchers": [f'alertname="{alerting.WATCHDOG}"'],
                "group_interval": "1s",
                "repeat_interval": "900ms",
            }
        ],
    }
    return json.dumps(
        {"route": route, "receivers": [{"name": "vibebox", "webhook_configs": [webhook]}]}
    )


def _alerting(directory: Path, target: str) -> str:
    """Return what has a Prometheus send its heartbeat to this Alertmanager."""
    rules = directory / "watchdog.yml"
    rules.write_text(text(document(alerting.GROUPS, Links())))
    managers = {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]}
    return f"alerting: {json.dumps(managers)}\nrule_files: [{json.dumps(str(rules))}]\n"


@contextmanager
def installation() -> Iterator[Installation]:
    """Start one; it takes as long as Prometheus waits for its first scrape."""
    for kind in (PostgreSQL, DockerEngine, Prometheus, Alertmanager):
        require(kind.__name__, kind.installed())
    with ExitStack() as stack:
        directory = scratch.new_directory("doctor")
        stack.callback(scratch.remove_directory, directory)
        try:
            scratch.mount_small(directory / "metrics-disk", "8m")
            database = stack.enter_context(shared(PostgreSQL(disk=100)))
            engine = stack.enter_context(shared(DockerEngine(disk=64)))
        except ServiceError as error:
            require("disks to fill", str(error))
            raise
        sink = stack.enter_context(OtlpSink())
        server = WebServer(
            directory,
            {
                "DATABASE_URL": database.url,
                "DOCKER_HOST": engine.host,
                "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics-disk" / "metrics"),
                "VIBEBOX_ALERTS_TOKEN": TOKEN,
            },
        )
        alertmanager = stack.enter_context(
            closing(Alertmanager(teller(server.url), files={"token": TOKEN}))
        )
        us, telling = f"127.0.0.1:{server.port}", _alerting(directory, alertmanager.target)

        def prometheus(*targets: str, **options: Any) -> Prometheus:
            options.setdefault("extra_config", telling)
            options["flags"] = ["--rules.alert.resend-delay=1s"]
            return stack.enter_context(closing(Prometheus(targets, **options)))

        stack.enter_context(shared(server)).start()
        made = prometheus(us, others={"alertmanager": alertmanager.target})
        others = {
            "refused": prometheus(us, metrics_path="/api/v1/environments"),
            "alerts nobody": prometheus(us, extra_config=""),
        }
        if FULL:
            others["of another job"] = prometheus(us, job="something")
        agent = stack.enter_context(shared(Agent.beside(server).start()))
        for one in (made, others["alerts nobody"]):
            one.wait_for('up{job="vibebox-backend"} == 1')
        others["refused"].wait_for("up == 0")
        made.wait_for('up{job="alertmanager"} == 1')
        yield Installation(
            directory, database, engine, server, agent, made, others, alertmanager, sink
        )


def nothing() -> None:
    """What a fault of the settings leaves behind."""


def image_cleaned_away(it: Installation) -> Undo:
    """An environment has run with an image, which is then removed."""
    image, (repository, tag) = "once:1", ("once", "1")
    client: Any = it.engine.client()

    def load() -> None:
        client.tag(it.engine.busybox, repository, tag)

    load()
    with Api(it.server.url) as api:
        api.sign_up()
        environment = api.create("once", image, pull="never")
        assert api.act(environment, "start").ok and api.act(environment, "stop").ok
    client.remove_container(f"vibebox-{environment}", force=True)
    client.remove_image(image)
    return load


def metrics_disk_read_only(it: Installation) -> Undo:
    # Who has a file open for writing keeps a disk from being remounted, but no bind mount of it.
    disk = str(it.metrics)
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    # Refused while a process writes by the mount of just now, as all do now and then.
    wait_until(lambda: _succeeds("mount", "-o", "remount,bind,ro", disk), 10)
    return lambda: wait_until(lambda: _succeeds("umount", disk), 10)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def stranger_in_metrics(it: Installation) -> Undo:
    stranger = it.metrics / "notes.txt"
    stranger.write_text("whose?")
    return stranger.unlink


def web_hangs(it: Installation) -> Undo:
    it.server.suspend()
    return it.server.resume


def web_killed(it: Installation) -> Undo:
    it.server.kill()
    return it.server.start


def sweeps_stopped(it: Installation) -> Undo:
    """As where the leader's sweep has not come to its end for an hour."""
    # The next sweep, which may be now, says so too.
    it.database.execute(
        """
        CREATE FUNCTION an_hour_ago() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.at := clock_timestamp() - interval '1 hour'; RETURN NEW; END $$;
        CREATE TRIGGER an_hour_ago BEFORE INSERT OR UPDATE ON agent_reports
            FOR EACH ROW WHEN (NEW.name = 'sweep') EXECUTE FUNCTION an_hour_ago();
        UPDATE agent_reports SET at = at WHERE name = 'sweep'
        """,
        "vibebox",
    )
    return lambda: it.database.execute(
        """
        DROP TRIGGER an_hour_ago ON agent_reports;
        DROP FUNCTION an_hour_ago;
        UPDATE agent_reports SET at = clock_timestamp() WHERE name = 'sweep'
        """,
        "vibebox",
    )


def synthetic_user_fails(it: Installation) -> Undo:
    database = Database(it.settings["DATABASE_URL"])
    rounds = ProbeRounds(database)
    failed = Outcome({}, "start", "It does not start.", "Start it.")
    rounds.finish(rounds.begin("command", 60), failed)
    database.dispose()
    return lambda: it.database.execute("DELETE FROM probe_rounds", "vibebox")


def prometheus_hangs(it: Installation) -> Undo:
    return harms.frozen(it.prometheus.pid)


def alertmanager_hangs(it: Installation) -> Undo:
    return harms.frozen(it.alertmanager.pid)


def alertmanager_has_another_token(it: Installation) -> Undo:
    token = it.alertmanager.config_file.with_name("token")
    token.write_text("another")
    return lambda: token.write_text(TOKEN)


def collector_refuses(it: Installation) -> Undo:
    it.sink.behave(*[Behaviour(status=401, says=b"who are you?")] * MANY)
    return it.sink.behave


def collector_hangs(it: Installation) -> Undo:
    it.sink.behave(*[Behaviour(seconds=3)] * 3)
    return it.sink.behave


@dataclass(frozen=True)
class Fault:
    """What is done, which check names it, with which words; `told` is what the doctor is told."""

    name: str
    check: str
    says: str
    harm: Callable[[Installation], Undo] = lambda _: nothing
    told: Callable[[Installation], Settings] = lambda _: {}
    rare: bool = False
    """Whether another one is of its kind and takes less, or readiness is shown the same one."""


def _nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"


FAULTS = (
    Fault("no number", "settings", "VIBEBOX_THREADS", told=lambda _: {"VIBEBOX_THREADS": "x"}),
    Fault(
        "no setting", "settings", "did you mean VIBEBOX_THREADS?",
        told=lambda _: {"VIBEBOX_TREADS": "8"},
    ),
    Fault("gone", "database", "Nothing answers as PostgreSQL", harms.database_gone),
    Fault("hangs", "database", "before the deadline", harms.database_hangs, rare=True),
    Fault(
        "read-only", "database", "PostgreSQL takes no changes",
        harms.database_read_only, rare=True,
    ),
    Fault("full", "database", "disk is full", harms.database_full, rare=True),
    Fault(
        "no schema", "database", "has no schema yet",
        told=lambda it: {"DATABASE_URL": it.database.new_database()},
    ),
    Fault(
        "wrong password", "database", "does not accept the password",
        told=lambda it: {
            "DATABASE_URL": it.database.url.replace("vibebox@", f"{GUARDED}:wrong@", 1)
        },
    ),
    Fault(
        "no such database",
        "database",
        'has no database "nowhere"',
        told=lambda it: {"DATABASE_URL": f"{it.database.url.rpartition('/')[0]}/nowhere"},
    ),
    Fault(
        "no such host",
        "database",
        "There is no host",
        told=lambda it: {"DATABASE_URL": it.database.url.replace("127.0.0.1", "nowhere.invalid")},
        rare=True,
    ),
    Fault(
        "no right to write",
        "database",
        "PostgreSQL refuses: permission denied",
        told=lambda it: {
            "DATABASE_URL": it.database.url.replace("vibebox@", f"{GUARDED}:right@", 1)
        },
    ),
    Fault("gone", "docker", "no engine is reached", harms.engine_gone),
    Fault("hangs", "docker", "is silent: it hangs", harms.engine_hangs, rare=True),
    Fault(
        "only answers", "docker", "what runs containers for it does",
        harms.engine_only_answers, rare=True,
    ),
    Fault("full", "docker", "disk of Docker Engine is full", harms.engine_full, rare=True),
    Fault("cleaned away", "images", "warning: Environments have run", image_cleaned_away),
    Fault("full", "metrics_directory", "No space left", harms.metrics_disk_full, rare=True),
    Fault("read-only", "metrics_directory", "Read-only", metrics_disk_read_only),
    Fault("stranger", "metrics_directory", "warning: PROMETHEUS_", stranger_in_metrics),
    Fault("hangs", "web", "runs and does not answer", web_hangs),
    Fault("killed", "web", "No web server runs", web_killed, rare=True),
    Fault("killed", "agent", "No agent is at work", harms.agent_killed),
    Fault("hangs", "agent", "No agent is at work", harms.agent_hangs, rare=True),
    Fault("no end", "sweeps", "warning: Records were last compared", sweeps_stopped),
    Fault(
        "fails", "synthetic_user", "failed at the step start",
        synthetic_user_fails,
        lambda it: {"VIBEBOX_PROBE": "cron", "VIBEBOX_PROBE_URL": it.server.url},
    ),
    Fault(
        "gone", "prometheus", "does not answer",
        told=lambda _: {"VIBEBOX_PROMETHEUS_URL": _nobody()},
    ),
    Fault("hangs", "prometheus", "did not answer in time", prometheus_hangs, rare=True),
    Fault(
        "refused", "prometheus", "does not scrape 127.0.0.1",
        told=lambda it: {"VIBEBOX_PROMETHEUS_URL": it.others["refused"].url},
    ),
    Fault(
        "no target", "prometheus", "no target of the job",
        told=lambda it: {"VIBEBOX_PROMETHEUS_URL": it.others["of another job"].url},
        rare=True,
    ),
    Fault(
        "none", "alertmanager", "to no Alertmanager",
        told=lambda it: {"VIBEBOX_PROMETHEUS_URL": it.others["alerts nobody"].url},
    ),
    Fault("hangs", "alertmanager", "does not reach Alertmanager", alertmanager_hangs, rare=True),
    Fault("token", "alertmanager", "refused with status 401", alertmanager_has_another_token),
    Fault(
        "gone", "collector", "does not take them: ConnectionError",
        told=lambda _: {"OTEL_EXPORTER_OTLP_ENDPOINT": _nobody()},
    ),
    Fault("refuses", "collector", "status 401: who are you?", collector_refuses),
    Fault("hangs", "collector", "does not take them", collector_hangs, rare=True),
)  # fmt: skip


def clock_off() -> dict[str, str]:
    """Return the environment of a doctor on a host whose clock is behind by an hour."""
    return wrong_clock.ahead("-1h")
