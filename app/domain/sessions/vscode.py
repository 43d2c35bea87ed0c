"""The VS Code server in a container: how it is started, looked after and reached. No rules.

It is started by an exec that it outlives. Its password is made in the container and stays there, in
the environment of its process: an argument would be told to all who listen to Docker's events, and
a record would have to be kept secret. code-server takes it out of what it passes on to its
children, so that the process which holds both the mark of the session and a password is the server.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.core.errors import SessionConflictError, SessionStartError
from app.engine import Engine
from app.storage import EnvironmentSession

MARK = "VIBEBOX_SESSION"
_EVERY_ADDRESS = {"0.0.0.0": "localhost", "::": "localhost"}
# Beyond the time that the server gets, for the exec itself and the last look.
_SPARE_SECONDS = 10
_SECONDS = 10.0
_ENDED, _SILENT = 5, 6

# $0: the program, $1: the port, $2: the session, $3: seconds, $4: a folder to open, or nothing.
# The answer is asked for with what the image has; where nothing there speaks HTTP, a port that
# somebody listens on has to do.
_START = r"""
port=$1 session=$2 left=$(($3 * 5)) folder=$4
log=/tmp/vibebox-$session.log
password=$(head -c 18 /dev/urandom | od -An -vtx1 | tr -d ' \n')
[ ${#password} = 36 ] || { echo "the image lacks head, od or tr"; exit 5; }
url=http://127.0.0.1:$port/healthz
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
spoken='exec 3<>"/dev/tcp/127.0.0.1/$0"; printf "GET /healthz HTTP/1.0\r\n\r\n" >&3
    read -r -t 2 line <&3; [[ $line == *" 200 "* ]]'
has() { command -v "$1" >/dev/null; }
answers() {
    if has curl && curl -fs -o /dev/null -m 2 "$url"; then return 0; fi
    if has bash && bash -c "$spoken" "$port"; then return 0; fi
    if has wget && wget -q -O /dev/null -T 2 "$url"; then return 0; fi
    ! has curl && ! has bash && ! has wget &&
        grep -qi ":$(printf %04X "$port") [0-9A-F:]* 0A " /proc/net/tcp /proc/net/tcp6
} 2>/dev/null
if answers; then echo "port $port of the container is in use"; exit 5; fi
umask 077
[ -d "$folder" ] || folder=
VIBEBOX_SESSION=$session PASSWORD=$password "$0" --bind-addr "0.0.0.0:$port" --auth password \
    --disable-telemetry --disable-update-check ${folder:+"$folder"} >"$log" 2>&1 </dev/null &
gone() {
    read -r stat <"/proc/$1/stat" || return 0
    case ${stat##*) } in [ZX]*) return 0 ;; esac
    return 1
} 2>/dev/null
until answers; do
    if gone $!; then tail -n 5 "$log"; exit 5; fi
    left=$((left - 1))
    [ $left -gt 0 ] || { tail -n 5 "$log"; exit 6; }
    sleep 0.2
done
if gone $!; then tail -n 5 "$log"; exit 5; fi
"""
# $0: the mark. Prints the environment of the server, one variable a line.
_FIND = r"""
for file in $(grep -ls "$0" /proc/[0-9]*/environ); do
    grep -qs "PASSWORD=" "$file" && tr '\0' '\n' <"$file" && break
done
"""
# How long nobody has been at it: the server touches a file each minute while somebody is.
_LOOK = (
    _FIND
    + r"""
beat=${XDG_DATA_HOME:-$HOME/.local/share}/code-server/heartbeat
[ ! -e "$beat" ] || echo "VIBEBOX_SILENT=$(($(date +%s) - $(stat -c %Y "$beat")))"
"""
)


@dataclass(frozen=True)
class Server:
    """What a VS Code server is here: program, port in the container, host in the addresses.

    `seconds`: how long it gets until it answers.
    """

    program: str = "code-server"
    port: int = 13337
    seconds: int = 30
    host: str = "127.0.0.1"

    def url(self, published: Iterable[Mapping[str, Any]]) -> str:
        """Return where the server of an environment with these published ports is reached.

        Raises: SessionStartError where its port is not among them.
        """
        for port in published:
            if (port["container_port"], port["protocol"]) == (self.port, "tcp"):
                host = _EVERY_ADDRESS.get(self.host, self.host)
                return f"http://{f'[{host}]' if ':' in host else host}:{port['host_port']}/"
        raise SessionStartError(
            f"The environment publishes no port {self.port}, on which a VS Code server is reached: "
            f'stop it, add {{"container_port": {self.port}}} to its ports, and start it again.'
        )


@dataclass(frozen=True)
class ServerState:
    """How a server was found; `silent`: seconds since somebody was at it, None: unknown."""

    alive: bool
    silent: float | None


def start(
    engine: Engine, server: Server, container: str, session_id: str, folder: str | None
) -> None:
    """Start a server and return once it answers over HTTP.

    Raises: SessionStartError, which says why it does not, and the errors of Docker.
    """
    script = ["sh", "-c", _START, server.program, str(server.port), session_id]
    ended = engine.exec(
        container,
        [*script, str(server.seconds), folder or ""],
        timeout=server.seconds + _SPARE_SECONDS,
    )
    if ended.exit_code == 0:
        return
    said = ended.stdout.decode(errors="replace").strip()[-300:] or "it gave no reason"
    if ended.exit_code == _SILENT:
        raise SessionStartError(
            f"The VS Code server did not answer within {server.seconds} seconds: {said}"
        )
    raise SessionStartError(f"The VS Code server did not start: {said}")


def look(engine: Engine, found: EnvironmentSession) -> ServerState:
    """Look whether the server of a session lives, and since when nobody uses it.

    Raises: the errors of Docker.
    """
    variables = _ask(engine, found, _LOOK)
    silent = re.fullmatch(r"\d{1,9}", variables.get("VIBEBOX_SILENT", ""), re.ASCII)
    return ServerState("PASSWORD" in variables, float(silent[0]) if silent else None)


def password(engine: Engine, found: EnvironmentSession) -> str:
    """Return what the server of a session lets in with.

    Raises: SessionConflictError where it runs no more, and the errors of Docker.
    """
    try:
        return _ask(engine, found, _FIND)["PASSWORD"]
    except KeyError:
        raise SessionConflictError(
            "The VS Code server does not run any more; start another session."
        ) from None


def _ask(engine: Engine, found: EnvironmentSession, script: str) -> dict[str, str]:
    mark = f"{MARK}={found.id}"
    answer = engine.exec(found.container_id, ["sh", "-c", script, mark], timeout=_SECONDS)
    lines = answer.stdout.decode(errors="replace").splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name: value for name, equals, value in pairs if equals}
