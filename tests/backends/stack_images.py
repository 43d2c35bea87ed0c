"""Images for the Compose file, under the names that it gives, made of this host's own programs.

Nothing is pulled: PostgreSQL, Prometheus and Alertmanager are those of the host, and the base of
our own image is the host's Python with the libraries that are installed for the tests.
"""

import ensurepip
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path

import docker

from tests.backends import signal_stores
from tests.backends.busybox import add_file, busybox_root
from tests.backends.postgresql import server_program
from tests.backends.wheels import needed_by, wheel

POSTGRES_UID = 999
NOBODY = 65534
SIGNALS_UID = 10001
_PYTHON_LEFT_OUT = {"test", "idlelib", "tkinter", "turtledemo", "lib2to3", "site-packages"}
_ENTRYPOINT = """#!/bin/sh
# What the official image does at its first start, as far as the Compose file relies on it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf %s "$POSTGRES_PASSWORD" >/tmp/password
    initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=/tmp/password \\
        --auth-host=scram-sha-256 --encoding=UTF8 --locale=C --no-sync >/dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | postgres --single -D "$PGDATA" postgres >/dev/null
fi
exec postgres -D "$PGDATA" -c "listen_addresses=*" -c unix_socket_directories=/var/run/postgresql
"""
_GRAFANA = """#!/bin/sh
set -eu
cd /var/lib/grafana
[ -e grafana.db ] || printf %s "$GF_SECURITY_ADMIN_PASSWORD" >password
touch grafana.db
exec httpd -f -p 3000 -h /srv
"""
# The collector of Jaeger's program: it has components under their older names, and Loki's stand-in
# takes records elsewhere.
_COLLECTOR = """#!/bin/sh
set -eu
file=${1#--config=}
CONFIG=$(sed -e "s/otlp_http/otlphttp/" -e "s|:3100/otlp|:3100/insert/opentelemetry|" "$file")
export CONFIG
exec /cmd/jaeger/jaeger-linux --config=env:CONFIG
"""
# VictoriaLogs in Loki's place, started and asked as that is.
_LOKI = """#!/bin/sh
set -eu
[ "$1" != -health ] || exec wget -Y off -q -O /dev/null http://127.0.0.1:3100/health
[ -r "${1#-config.file=}" ]
exec victoria-logs -storageDataPath=/loki/data -httpListenAddr=:3100 -retentionPeriod=7d
"""
_USERS = (
    f"root:x:0:0::/root:/bin/sh\npostgres:x:{POSTGRES_UID}:{POSTGRES_UID}::/tmp:/bin/sh\n".encode()
)
Files = dict[str, Path]
Fill = Callable[[tarfile.TarFile], None]


def missing_programs() -> str | None:
    """Return in words what this host lacks to make the images, or None."""
    names = ("prometheus-alertmanager", "useradd", "groupadd")
    missing = [name for name in names if shutil.which(name) is None]
    missing += [] if server_program("initdb") else ["postgresql"]
    missing += [
        name for name in ("jaeger", "victoria-logs", "prometheus") if signal_stores.missing(name)
    ]
    return f"{', '.join(missing)} not installed" if missing else None


def import_postgres(client: docker.APIClient, name: str) -> None:
    """Import PostgreSQL, with the behaviour of the official image of release 18."""
    home = Path(server_program("initdb") or "").parents[1]
    share = Path("/usr/share/postgresql") / home.name
    programs = [
        home / "bin" / one
        for one in ("initdb", "pg_dump", "pg_isready", "pg_restore", "postgres", "psql")
    ]
    plugins = [path for path in (home / "lib").glob("*.so") if "llvmjit" not in path.name]
    files = {_place(path): path for path in [*programs, *plugins, *_under(share, {"man"})]}
    files |= _libraries([*programs, *plugins])

    def fill(archive: tarfile.TarFile) -> None:
        add_file(archive, "entrypoint", tarfile.REGTYPE, content=_ENTRYPOINT.encode())
        for directory in ("var/lib/postgresql", "var/run/postgresql"):
            add_file(archive, directory, tarfile.DIRTYPE, owner=POSTGRES_UID)

    changes = [
        'ENTRYPOINT ["/entrypoint"]',
        f"ENV PATH={home}/bin:/bin",
        "ENV PGDATA=/var/lib/postgresql/18/docker",
        "ENV TZ=UTC",
        f"USER {POSTGRES_UID}",
    ]
    _import(client, name, files, fill, changes)


def import_monitor(client: docker.APIClient, name: str, program: str, directory: str) -> None:
    """Import Prometheus or Alertmanager, which keeps its data in `directory`."""
    found = Path(shutil.which(program) or program)
    # Debian's programs read their templates from there.
    share = _under(Path("/usr/share/prometheus"), set())
    files = {"bin/monitor": found, **{_place(path): path for path in share}, **_libraries([found])}

    def fill(archive: tarfile.TarFile) -> None:
        add_file(archive, directory, tarfile.DIRTYPE, owner=NOBODY)

    _import(client, name, files, fill, ['ENTRYPOINT ["/bin/monitor"]', f"USER {NOBODY}"])


def import_grafana(client: docker.APIClient, name: str) -> None:
    """Import what stands for Grafana, no Debian package: its entry point, port and probe."""

    def fill(archive: tarfile.TarFile) -> None:
        add_file(archive, "run.sh", tarfile.REGTYPE, content=_GRAFANA.encode())
        add_file(archive, "var/lib/grafana", tarfile.DIRTYPE, owner=NOBODY)
        add_file(archive, "srv/api/health", tarfile.REGTYPE, content=b"ok", mode=0o644)

    _import(client, name, {}, fill, ['ENTRYPOINT ["/run.sh"]', f"USER {NOBODY}"])


def import_jaeger(client: docker.APIClient, name: str, entrypoint: str = "") -> None:
    """Import Jaeger, as its own image is laid out; or a collector of it, with this entry point."""

    def fill(archive: tarfile.TarFile) -> None:
        # Anybody may write to its /tmp, as in all of these images.
        add_file(archive, "entrypoint", tarfile.REGTYPE, content=entrypoint.encode())

    program = signal_stores.program("jaeger")
    files = {"cmd/jaeger/jaeger-linux": program, **_libraries([program])}
    start = "/entrypoint" if entrypoint else "/cmd/jaeger/jaeger-linux"
    _import(client, name, files, fill, [f'ENTRYPOINT ["{start}"]', f"USER {SIGNALS_UID}"])


def import_collector(client: docker.APIClient, name: str) -> None:
    """Import what stands for the OpenTelemetry Collector."""
    import_jaeger(client, name, _COLLECTOR)


def import_loki(client: docker.APIClient, name: str) -> None:
    """Import what stands for Loki: VictoriaLogs."""
    program = signal_stores.program("victoria-logs")

    def fill(archive: tarfile.TarFile) -> None:
        add_file(archive, "usr/bin/loki", tarfile.REGTYPE, content=_LOKI.encode())
        add_file(archive, "loki", tarfile.DIRTYPE, owner=SIGNALS_UID)

    files = {"bin/victoria-logs": program, **_libraries([program])}
    _import(client, name, files, fill, ['ENTRYPOINT ["/usr/bin/loki"]', f"USER {SIGNALS_UID}"])


def import_python(client: docker.APIClient, name: str) -> None:
    """Import the base of our image: Python, and wheels of all that the package needs."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    standard = Path(sysconfig.get_path("stdlib"))
    modules = _under(standard, _PYTHON_LEFT_OUT)
    python = Path(sys.base_prefix) / "bin" / version
    tools = {_place(path): path for path in map(_found, ("groupadd", "install", "useradd"))}
    files = {f"usr/local/lib/{version}/{path.relative_to(standard)}": path for path in modules}
    files |= {f"usr/local/bin/{version}": python, **tools}
    # Debian keeps the wheels of ensurepip elsewhere, and says so there.
    elsewhere: str | None = getattr(ensurepip, "_WHEEL_PKG_DIR", None)
    files |= {_place(path): path for path in Path(elsewhere or "/nowhere").glob("*.whl")}
    packages = [
        *needed_by("vibebox", frozenset({"otel", "redis", "sbom"})),
        distribution("setuptools"),
    ]
    brought = [Path(str(file.locate())) for one in packages for file in one.files or []]
    extensions = [path for path in (*modules, *brought) if path.suffix == ".so"]
    files |= _libraries([python, *tools.values(), *extensions])

    def fill(archive: tarfile.TarFile) -> None:
        for alias in ("python", "python3"):
            add_file(archive, f"usr/local/bin/{alias}", tarfile.SYMTYPE, target=version)
        # "no" means that it does not compile; the wheels bring what is compiled.
        configuration = (
            b"[global]\nno-index = true\nfind-links = /wheels\n[install]\nno-compile = no\n"
        )
        add_file(archive, "etc/pip.conf", tarfile.REGTYPE, content=configuration, mode=0o644)
        for name, content in map(wheel, packages):
            add_file(archive, f"wheels/{name}", tarfile.REGTYPE, content=content, mode=0o644)

    path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    _import(client, name, files, fill, [f"ENV {path}", 'CMD ["python3"]'])


def _found(program: str) -> Path:
    return Path(shutil.which(program) or program).resolve()


def _place(path: Path) -> str:
    return str(path).lstrip("/")


def _under(root: Path, left_out: set[str]) -> list[Path]:
    """Return the files below a directory, but for what only tests and other versions use."""
    found = [path for path in root.rglob("*") if path.is_file()]
    skipped = (".opt-1.pyc", ".opt-2.pyc", ".a")
    return [
        path
        for path in found
        if not left_out & set(path.relative_to(root).parts) and not path.name.endswith(skipped)
    ]


def _libraries(programs: Iterable[Path]) -> Files:
    """Return the libraries of this host that the programs are linked with, loader included."""
    listing = subprocess.run(
        ["ldd", *programs], capture_output=True, text=True, check=False, timeout=60
    ).stdout
    named = set(re.findall(r"(?:=> |\t)(/\S+)", listing))
    # What a wheel brings along is found beside it.
    return {one.lstrip("/"): Path(one) for one in named if "site-packages" not in one}


def _import(
    client: docker.APIClient, name: str, files: Mapping[str, Path], fill: Fill, changes: list[str]
) -> None:
    """Make the image of busybox, the files, and what `fill` adds."""
    repository, _, version = name.rpartition(":")
    with tempfile.NamedTemporaryFile(suffix=".tar") as root:
        root.write(busybox_root(_USERS))
        root.flush()
        with tarfile.open(root.name, "a") as archive:
            for place, path in files.items():
                archive.add(path.resolve(), place, filter=_of_root)
            fill(archive)
        client.import_image_from_file(root.name, repository, version, changes=changes)


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
