"""What colours mean, on every dashboard the same.

Every colour of a dashboard stands here. Each is legible on Grafana's dark and light background (a
contrast of 3 to 1 at least on both), and any two can be told apart by people who see no difference
between red and green: tests hold both. Red is for what is wrong, and for nothing else.

What has a closed set of values (a status, a reason, a kind of call) has a colour, or a colour and a
dash, for each value. Where many are of a kind (codes of answers, workers), each has a tint of it.
What has no closed set (instances) is drawn in shades of one colour.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.core.errors import Limit
from app.core.isolation import Loop
from app.metrics import catalogue

# How well something is.
OK, NOTICE, WARNING, CRITICAL = "#22A77A", "#B49001", "#C4713C", "#C9283E"
# What is neither well nor ill.
BLUE, CYAN, VIOLET, MAUVE, REST = "#208CFD", "#0B86A9", "#7743FB", "#F620B9", "#6A7079"
NEUTRAL = BLUE

ALL = (OK, NOTICE, WARNING, CRITICAL, BLUE, CYAN, VIOLET, MAUVE, REST)

TINTS: Mapping[str, tuple[str, ...]] = {
    OK: (OK, "#0F9210", "#027733", "#3B7069", "#41A554"),
    NOTICE: (NOTICE, "#88631A", "#99965A", "#767050", "#736F37", "#9C7702", "#858937"),
    WARNING: (WARNING, "#E47614", "#C84506", "#A98667", "#895D3E", "#836760"),
    CRITICAL: (CRITICAL, "#E1608F", "#F21F1B", "#E07072", "#AE435E"),
}
"""Several of a kind on one panel, each as legible as the kind itself. Grafana's own shades are not:
it makes the last of them nearly black, or nearly white."""

FILLS = {OK: "#027733", NOTICE: "#664F19", WARNING: "#C24E0A", CRITICAL: CRITICAL, REST: REST}
"""What these are where white text stands on them: dark enough for it."""

BARE = "transparent"
"""The ground of a cell that has nothing to warn of: all that is filled is worth a look."""

LEVELS = {
    "ok": OK,
    "notice": NOTICE,
    "warning": WARNING,
    "critical": CRITICAL,
    "neutral": NEUTRAL,
    "rest": REST,
}
"""Steps of thresholds by name."""

KINDS: tuple[tuple[str, ...], ...] = (
    (BLUE, "#708FE6", "#4D73FF"),
    (CYAN, "#699B99", "#179ECF"),
    (VIOLET, "#9233DB", "#8660D7"),
    (MAUVE, "#BA00BD", "#B5459B"),
)
"""What tells kinds apart, and judges nothing: four hues, and tints of each for more kinds than
those, since bars have no dashes. Grey is left to what is at rest, and to the rest of what a panel
has no curve for: beside it a grey kind could not be told."""

SEVERITIES = {"info": NOTICE, "warning": WARNING, "critical": CRITICAL}
"""Thresholds of alerts, by how severe they are."""

# Resources, wherever they are used.
CPU, MEMORY, NETWORK, DISK = BLUE, VIOLET, CYAN, MAUVE
COST = NEUTRAL

DASHES: tuple[tuple[int, ...], ...] = ((), (10, 6), (2, 6), (16, 5, 2, 5), (28, 12))
"""Lengths of lines and gaps in pixels; none: one line."""


class Look(NamedTuple):
    """How a series is drawn."""

    color: str
    dash: tuple[int, ...] = ()
    shades: bool = False
    """Whether several series share the look, which are told apart by shades."""


def kinds(values: Iterable[object], hues: tuple[tuple[str, ...], ...] = KINDS) -> dict[str, Look]:
    """Return a look for each of these values, in their order: hues first, then dashed tints."""
    found = {}
    for number, value in enumerate(values):
        turn, hue = divmod(number, len(hues))
        found[str(value)] = Look(hues[hue][turn % len(hues[hue])], DASHES[turn % len(DASHES)])
    return found


def looks(**values: str) -> dict[str, Look]:
    """Return looks of values from colours; a second of a colour is dashed, and so on."""
    found: dict[str, Look] = {}
    for value, color in values.items():
        before = sum(look.color == color for look in found.values())
        found[value] = Look(color, DASHES[before % len(DASHES)])
    return found


def tints(color: str, values: Iterable[object]) -> dict[str, Look]:
    """Return a look of one kind for each of these values, at most as many as it has tints."""
    values = [*values]
    return {
        str(value): Look(tint)
        for value, tint in zip(values, TINTS[color][: len(values)], strict=True)
    }


_STATUSES = {
    **looks(
        running=OK,
        stopped=REST,
        starting=BLUE,
        stopping=CYAN,
        paused=VIOLET,
        error=CRITICAL,
    ),
    **looks(success=OK, failure=CRITICAL),
}
_REASONS = {
    # Ends of workers, then of containers.
    **looks(recycled=REST, reloaded=BLUE, shutdown=CYAN, timeout=WARNING, crashed=CRITICAL),
    # A tint of its own, since one bar may have both.
    **looks(user=BLUE, completed=OK, oom=WARNING, killed=TINTS[WARNING][2], error=CRITICAL),
    # Clients that were cut off.
    **looks(head=BLUE, body=CYAN, answer=VIOLET, room=WARNING),
}
_STATES = {
    # Threads and connections to the database, files, processes.
    **looks(busy=BLUE, total=REST),
    **looks(live=OK, dead=REST),
    **looks(shown=OK, silent=WARNING, hidden=CRITICAL),
    # Connections of clients.
    **looks(idle=REST, receiving=CYAN, queued=NOTICE, serving=BLUE, sending=VIOLET, closing=MAUVE),
}
_TYPES = {
    **looks(
        client_error=NOTICE, server_error=CRITICAL, unhandled_exception=CRITICAL, timeout=WARNING
    ),
    **looks(vscode_server=BLUE, tmux=CYAN, shell=VIOLET),
}
_OUTCOMES = {
    **looks(created=OK, taken=BLUE, refused=VIOLET, limited=NOTICE),
    **looks(success=OK, user_error=NOTICE, failure=CRITICAL),
}

NEED_DOCKER = (
    *(Loop.SWEEP, Loop.RECONCILE, Loop.EVENTS, Loop.DRIFT, Loop.EXITS, Loop.LOG_INTAKE),
    *(Loop.USAGE, Loop.USAGE_DISK, Loop.PULLS, Loop.SESSIONS, Loop.SESSIONS_ON_START),
    Loop.EXTENSIONS,
)
"""Loops of the agent that fail while Docker Engine does; as many as have a tint of their own."""

OFTEN_CALLED = (
    *("ping", "exec", "inspect", "logs"),
    *("stats", "events", "list", "create"),
    *("start", "stop", "remove", "pull"),
)
"""Calls of Docker that are drawn most often. As many as there are tints: each has one of its own,
and the first four, which the service makes all the time, have the hues."""

_DOCKER_OPERATIONS = sorted(catalogue.DOCKER_OPERATIONS, key=lambda each: each == "update")

MEANINGS: Mapping[str, Mapping[str, Look]] = {
    "class": looks(**{"1xx": REST, "2xx": OK, "3xx": BLUE, "4xx": NOTICE, "5xx": CRITICAL}),
    "status": _STATUSES,
    "reason": _REASONS,
    "state": _STATES,
    "type": _TYPES,
    "outcome": _OUTCOMES,
    "stream": looks(stdout=BLUE, stderr=NOTICE),
    "slo": looks(**{"availability": BLUE, "latency": VIOLET, "synthetic user": CYAN}),
    "phase": looks(receive=CYAN, send=VIOLET),
    "role": looks(web=BLUE, agent=VIOLET),
    "resource": looks(environments=BLUE, cpus=CYAN, memory_bytes=VIOLET),
    "method": kinds(
        ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "OTHER")
    ),
    "operation": {
        # Of the database; an update of its rows looks like one of a container, the last of these.
        **kinds(("select", "insert", "other", "delete")),
        **kinds(dict.fromkeys((*OFTEN_CALLED, *_DOCKER_OPERATIONS))),
    },
    "check": kinds(catalogue.CHECKS),
    # Those that need Docker fail together, and come first.
    "task": kinds(sorted(catalogue.LOOPS, key=lambda loop: loop not in NEED_DOCKER)),
    "step": kinds(catalogue.PROBE_STEPS),
    "collector": kinds(("files", "format", "runtime", "values", "inventory")),
    # What is paid for (`costs.KINDS`).
    "kind": looks(
        **{
            "CPU": CPU,
            "memory": MEMORY,
            "time running": REST,
            "received": NETWORK,
            "sent": NETWORK,
            "disk read": DISK,
            "disk written": DISK,
            "volumes": DISK,
            "layers": DISK,
        }
    ),
    "generation": kinds("012"),
    "severity": {severity: Look(color) for severity, color in SEVERITIES.items()},
    "way": kinds(way.replace("_", " ") for way in catalogue.SIGNUP_WAYS),
    "status_code": {
        **tints(OK, (200, 201, 202, 204, 206)),
        # Those that come often; all others have one tint together, by a pattern.
        **tints(NOTICE, (404, 401, 409)),
        **tints(CRITICAL, (503, 500, 502, 504)),
    },
    # Violet is the agent's.
    "worker": kinds((f"web-{slot}" for slot in range(8)), (KINDS[0], KINDS[1], KINDS[3])),
    # As burn rates: the longer, the further from blue.
    "days": looks(**{"1": CYAN, "7": BLUE, "30": VIOLET}),
    "limit": kinds(Limit),
}
"""Looks by label and value, in the legends of graphs, and in bars."""

PATTERNS: Mapping[str, tuple[tuple[str, Look], ...]] = {
    "status_code": (
        ("1..", Look(REST)),
        ("2..", Look(OK)),
        ("3..", Look(BLUE)),
        ("4..", Look(TINTS[NOTICE][3])),
        ("5..", Look(CRITICAL)),
    ),
    # As web server and agent are drawn everywhere.
    "worker": (
        ("web-.*", Look(BLUE)),
        ("agent.*", Look(VIOLET)),
        ("master", Look(REST)),
    ),
    # By what they are about; the legend has the route.
    "route": (
        (".*", Look(REST)),
        ("/health.*", Look(KINDS[0][1])),
        ("/api/v1/environments.*", Look(BLUE)),
        ("/api/v1/sessions.*", Look(CYAN)),
        ("/api/v1/(auth|accounts|api-keys|users|ws-tickets).*", Look(VIOLET)),
        ("/api/v1/(teams|projects|invitations).*", Look(MAUVE)),
    ),
}
"""The same of labels that have too many values for a name each: patterns of them, of which a later
one counts, and a value that has a look of its own most."""

ROLES: Mapping[str, tuple[int, ...]] = {"agent": DASHES[1]}
"""Dashes of roles, where a series has the colour of a resource."""

WHOLE = "all"
"""Name of the sum of what a panel draws: its legend has it also where all of it is 0."""

NAMES: Mapping[str, Look] = {
    # Dashed: of one series that it covers, both can be seen.
    WHOLE: Look(REST, DASHES[1]),
    "rest": Look(REST),
    # A deadline, and where a warning begins.
    "given": Look(REST, DASHES[1]),
    "warns": Look(WARNING, DASHES[1]),
    # Percentiles: the rarer, the further from blue.
    "p50": Look(CYAN),
    "p90": Look(BLUE, DASHES[1]),
    "p95": Look(BLUE),
    "p99": Look(VIOLET),
    # What the expression of an alert looks at.
    "alert": Look(MAUVE),
    # Burn rates: the longer the window, the further from blue; dashed, that beside which an alert
    # looks at it.
    "5m": Look(CYAN, DASHES[1]),
    "1h": Look(CYAN),
    "30m": Look(BLUE, DASHES[1]),
    "6h": Look(BLUE),
    "2h": Look(VIOLET, DASHES[1]),
    "1d": Look(VIOLET),
    "3d": Look(MAUVE),
    "CPU": Look(CPU),
    "memory": Look(MEMORY),
    "received": Look(CYAN),
    "sent": Look(VIOLET),
    "read": Look(DISK),
    "written": Look(DISK, DASHES[1]),
    "limit": Look(REST, DASHES[1]),
    "cost": Look(COST),
}
"""Looks of series that a query names itself: by the first word of the legend."""
