"""A whole installation behind a TLS proxy, and what may go wrong that its counts do not show."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from click.testing import CliRunner

from app.cli.main import main
from tests.backends import scratch
from tests.backends.agent import HURRIED, Agent
from tests.backends.busybox import add_file, busybox_program, busybox_root
from tests.backends.docker_engine import DockerEngine
from tests.backends.fault_proxy import FaultProxy
from tests.backends.nginx import Nginx
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import require, shared
from tests.end_to_end import harms
from tests.end_to_end.harms import Undo

CONFIG = (Path(__file__).parents[2] / "deploy" / "nginx" / "vibebox.conf").read_text()
NAME = "vibebox.example.org"
ACCOUNT = "probe@vibebox.invalid"
STEPS = "prepare sign_in sweep create start command stop delete sign_out".split()
ENDS, BROKEN, WITHOUT_SHELL = "probe/ends:1", "probe/broken:1", "probe/shell:0"
ELSEWHERE = "registry.invalid/probe:1"
_UPGRADE = "proxy_set_header Upgrade    $http_upgrade;"
ROUNDS = 'vibebox_probe_rounds_total{{outcome="{}"}}'
Settings = Mapping[str, str]


@dataclass
class Site:
    """A VibeBox and the proxy before it; `deaf` is another proxy, which upgrades nothing."""

    directory: Path
    database: PostgreSQL
    engine: DockerEngine
    server: WebServer
    agent: Agent
    nginx: Nginx
    deaf: Nginx
    slow: FaultProxy
    first: Mapping[str, float] = field(default_factory=dict)
    """The scrape after the round that the agent has made."""

    def scraped(self) -> Mapping[str, float]:
        """Return the plain scrape, by series as they are written."""
        text = requests.get(f"{self.server.url}/health/metrics", timeout=10).text
        pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in pairs}

    @property
    def metrics_disk(self) -> Path:
        raise NotImplementedError("the metrics have no disk of their own here")

    def probe(self, told: Settings | None = None, *options: str) -> dict[str, Any]:
        """Make a round as cron does, and return what `vibebox probe --json` says."""
        env = {**self.server.env, **(told or {})}
        with chdir(self.directory):  # away from the .env of a checkout
            found = CliRunner().invoke(main, ["probe", "--json", *options], env=env)
        assert found.exit_code in (0, 1), found.output
        answer: dict[str, Any] = json.loads(found.stdout)
        assert found.exit_code == {"success": 0, "failure": 1}[answer["outcome"]]
        return answer


def images(engine: DockerEngine) -> None:
    """Give the engine images that end at once, that cannot be run, and that have no shell."""
    client: Any = engine.client()
    root = busybox_root()
    for image, command in ((ENDS, "/bin/true"), (BROKEN, "/bin/nothing")):
        changes = [f'CMD ["{command}"]', "ENV PATH=/bin"]
        client.import_image_from_data(root, repository=image[:-2], tag="1", changes=changes)
    client.import_image_from_data(
        _only_sleep(),
        repository=WITHOUT_SHELL[:-2],
        tag="0",
        changes=['CMD ["/bin/sleep", "100000"]', "ENV PATH=/bin"],
    )
    engine.close_clients()


def _only_sleep() -> bytes:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        program = Path(busybox_program() or "busybox").read_bytes()
        add_file(archive, "bin/sleep", tarfile.REGTYPE, content=program)
    return buffer.getvalue()


@contextmanager
def site() -> Iterator[Site]:
    """Start one; its agent lets the synthetic user go once, and never again by itself."""
    for kind in (PostgreSQL, DockerEngine, Nginx):
        require(kind.__name__, kind.installed())
    with ExitStack() as stack:
        directory = scratch.new_directory("probe")
        stack.callback(scratch.remove_directory, directory)
        database = stack.enter_context(shared(PostgreSQL()))
        engine = stack.enter_context(shared(DockerEngine(disk=64)))
        images(engine)
        server = WebServer(
            directory,
            {
                "DATABASE_URL": database.url,
                "DOCKER_HOST": engine.host,
                "VIBEBOX_TRUSTED_PROXIES": "1",
                "VIBEBOX_STOP_GRACE": "0",
                "VIBEBOX_SESSIONS_ON_START": "false",
                "VIBEBOX_PROBE": "agent",
                "VIBEBOX_PROBE_IMAGE": engine.busybox,
                "VIBEBOX_PROBE_INTERVAL": "86400",
            },
            workers=1,
        )
        place = {"server 127.0.0.1:3000": f"server 127.0.0.1:{server.port}"}
        nginx = stack.enter_context(shared(Nginx(CONFIG, NAME, place)))
        deaf = stack.enter_context(shared(Nginx(CONFIG, NAME, {**place, _UPGRADE: ""})))
        slow = stack.enter_context(FaultProxy(("127.0.0.1", server.port)))
        server.set(
            VIBEBOX_PROBE_URL=f"https://127.0.0.1:{nginx.port}",
            VIBEBOX_PROBE_CERTIFICATE=str(nginx.certificate),
        )
        stack.enter_context(shared(server)).start()
        agent = stack.enter_context(shared(Agent.beside(server, command=HURRIED).start()))
        made = Site(directory, database, engine, server, agent, nginx, deaf, slow)
        wait_until(lambda: made.scraped()[ROUNDS.format("success")] == 1, 30, 0.2)
        made.first = made.scraped()
        yield made


def nothing() -> None:
    """What a fault of the settings leaves behind."""


def proxy_down(it: Site) -> Undo:
    it.nginx.stop()
    return it.nginx.start


def certificate_expired(it: Site) -> Undo:
    it.nginx.certify(NAME, days=-1)
    return lambda: it.nginx.certify(NAME)


def certificate_of_another(it: Site) -> Undo:
    it.nginx.certify(NAME, address=False)
    return lambda: it.nginx.certify(NAME)


def server_killed(it: Site) -> Undo:
    it.server.kill()
    return it.server.start


def proxy_slow(it: Site) -> Undo:
    it.slow.latency = 2.0
    return it.slow.heal


@dataclass(frozen=True)
class Fault:
    """What is done, at which step a round then fails, with which words, and what the next step has.

    `told` is what the round is told; `rare`: it takes long, or another one is of its kind.
    """

    name: str
    step: str
    says: str
    next_step: str
    harm: Callable[[Site], Undo] = lambda _: nothing
    told: Callable[[Site], Settings] = field(default=lambda _: {})
    rare: bool = False
    or_at: str = ""
    """Another step that may be the one, by how busy the machine is."""
    or_says: str = ""
    """What may be said instead, where two deadlines pass in the same moment."""


FAULTS = (
    Fault("proxy down", "sign_in", "Nothing listens at", "Start the proxy", proxy_down),
    Fault("certificate expired", "sign_in", "has expired", "Renew it", certificate_expired),
    Fault(
        "certificate of another name", "sign_in", "is of another name", "of that name",
        certificate_of_another,
    ),
    Fault(
        "issuer unknown", "sign_in", "is not trusted", "VIBEBOX_PROBE_CERTIFICATE",
        told=lambda it: {"VIBEBOX_PROBE_CERTIFICATE": str(it.deaf.certificate)},
    ),
    Fault(
        "name leads nowhere", "sign_in", "The name vibebox.invalid leads nowhere", "DNS",
        told=lambda it: {"VIBEBOX_PROBE_URL": f"https://vibebox.invalid:{it.nginx.port}"},
    ),
    Fault(
        "nobody behind the proxy", "sign_in", "answers 502", "See whether the web server runs",
        server_killed,
    ),
    Fault(
        "proxy slow", "sign_in", "did not end within 0.5 s", "overloaded", proxy_slow,
        told=lambda it: {
            "VIBEBOX_PROBE_URL": f"http://127.0.0.1:{it.slow.port}",
            "VIBEBOX_PROBE_STEP_TIMEOUT": "0.5",
        },
        or_says="does not answer in time",
    ),
    Fault(
        "path of nothing", "sign_in", "Not Found", "Correct the path of VIBEBOX_PROBE_URL",
        told=lambda it: {"VIBEBOX_PROBE_URL": f"https://127.0.0.1:{it.nginx.port}/elsewhere"},
    ),
    Fault(
        "terminal not passed on", "command", "WebSocket is refused with status 426", "Upgrade",
        told=lambda it: {
            "VIBEBOX_PROBE_URL": f"https://127.0.0.1:{it.deaf.port}",
            "VIBEBOX_PROBE_CERTIFICATE": str(it.deaf.certificate),
        },
    ),
    Fault(
        "image broken", "start", "", "VIBEBOX_PROBE_IMAGE", or_at="command",
        told=lambda _: {"VIBEBOX_PROBE_IMAGE": BROKEN},
    ),
    Fault(
        "image ends", "start", "", "VIBEBOX_PROBE_IMAGE", or_at="command",
        told=lambda _: {"VIBEBOX_PROBE_IMAGE": ENDS}, rare=True,
    ),
    Fault(
        "image without a shell", "command", "holds no shell", "has a shell (sh)",
        told=lambda _: {"VIBEBOX_PROBE_IMAGE": WITHOUT_SHELL},
    ),
    Fault(
        "engine's DNS does not know the registry", "start", "registry", "reaches the registry",
        told=lambda _: {"VIBEBOX_PROBE_IMAGE": ELSEWHERE},
    ),
    Fault(
        "engine gone", "start", "Docker Engine is not reachable", "Start Docker Engine",
        harms.engine_gone,
    ),
    Fault(
        "engine's disk full", "start", "Docker Engine has no room left", "docker system df",
        harms.engine_full,
    ),
    Fault(
        "engine hangs", "start", "does not answer", "see whether it hangs", harms.engine_hangs,
        rare=True,
    ),
    Fault(
        "engine only answers", "start", "did not end within 8 s", "Docker Engine well",
        harms.engine_only_answers, lambda _: {"VIBEBOX_PROBE_STEP_TIMEOUT": "8"}, rare=True,
    ),
    Fault(
        "no agent to pull", "start", "did not end within 3 s", "an agent is at work",
        harms.agent_killed,
        lambda _: {"VIBEBOX_PROBE_IMAGE": ELSEWHERE, "VIBEBOX_PROBE_STEP_TIMEOUT": "3"},
    ),
    Fault("database read-only", "prepare", "takes no changes", "vibebox doctor",
          harms.database_read_only),
    Fault(
        "database gone", "prepare", "Nothing answers as PostgreSQL", "vibebox doctor",
        harms.database_gone, rare=True,
    ),
)  # fmt: skip
