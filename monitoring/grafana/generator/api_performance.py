"""Dashboard "VibeBox - API performance": what is slow, what fails, and what holds it up."""

from monitoring.grafana.generator.golden import golden_signals, percentiles
from monitoring.grafana.generator.leads import (
    ALL_REQUESTS,
    ERRORS_OF_ALL_KINDS,
    EVERYTHING,
    FAILED_ON_ROUTE,
    FAILED_REQUESTS,
    OF_STATUS,
    of_route,
)
from monitoring.grafana.generator.levels import Step, watched
from monitoring.grafana.generator.palette import BLUE, MAUVE, NAMES, WHOLE
from monitoring.grafana.generator.panels import (
    NOTHING,
    Board,
    Panel,
    Query,
    Row,
    events,
    graph,
    heatmap,
    stat,
)
from monitoring.grafana.generator.promql import (
    DURATION,
    ERRORS,
    FAILED,
    NO_PROBES,
    RANGE,
    REQUESTS,
    STATEMENTS,
    USERS,
    all_in_bars,
    by_duration,
    in_bars,
    largest,
    now,
    quantile,
    rate,
    select,
    total,
)
from monitoring.grafana.generator.signals import column
from monitoring.rules import thresholds as t

_ROUTE = "method, route"


def _of_route(q: float) -> str:
    return quantile(q, DURATION, USERS, by=_ROUTE, over=RANGE)


_SLOWEST = f"topk(10, {now(_of_route(0.95))})"
_AND_SLOWEST = f" and on (method, route) {_SLOWEST}"


def _percentile(share: int, meaning: str) -> Panel:
    return stat(
        f"Latency p{share}",
        8,
        now(quantile(share / 100, DURATION, USERS)),
        f"p{share}",
        f"{meaning} took no longer; over all routes but probes and streams, those that wait for "
        "a container too. Alerts look at the p95 in the first row.",
        "s",
        thresholds=(Step(NAMES[f"p{share}"].color, None),),
        down="slo",
        leads=ALL_REQUESTS,
    )


_LATENCY = Row(
    "Latency",
    (
        _percentile(50, "Half of the requests"),
        _percentile(95, "95 of 100 requests"),
        _percentile(99, "99 of 100 requests"),
    ),
)
_COURSE = Row(
    "Latency over time",
    (percentiles("Latency by percentile", 24, 50, 95, 99),),
    added=True,
)
_TRAFFIC = Row(
    "Traffic and errors",
    (
        graph(
            "Request rate by status code",
            24,
            "All requests a second, probes too.",
            "reqps",
            (total(rate(REQUESTS), "status_code"), "{{status_code}}"),
            stacked=True,
            # In a narrow window the legend is below, and has a dozen codes.
            height=17,
            series_leads=OF_STATUS,
        ),
        graph(
            "Errors by type",
            12,
            "Answers of 400 and above a second, to probes too: the client's mistakes, ours, what "
            "nobody foresaw, and what took too long. Of 5xx alone, HighAPIErrorRate warns at "
            f"{t.ERRORS_WARNING} a second.",
            "reqps",
            (total(rate(ERRORS), "type"), "{{type}}"),
            (total(rate(ERRORS)), WHOLE),
            # The legend has five.
            height=13,
            leads=ERRORS_OF_ALL_KINDS,
        ),
        events(
            "Errors by route",
            12,
            "Answers of 500 and above, for each route that gives any; without probes, which "
            "answer 503 while the service is not ready.",
            "short",
            # With no `> 0`: the last value that is one would stand in the legend as that of now.
            (in_bars(ERRORS, FAILED, NO_PROBES, by="route"), "{{route}}"),
            whole=all_in_bars(ERRORS, FAILED, NO_PROBES, of="route"),
            leads=FAILED_REQUESTS,
            series_leads=FAILED_ON_ROUTE,
        ),
    ),
)
_ROUTES = Row(
    "Routes",
    (
        Panel(
            "Top 10 slowest routes",
            "table",
            24,
            "The routes with the largest p95 over the time shown, their p50, and how often they "
            "are asked. No duration is at a level here: what waits for a container takes long when "
            "all is well.",
            (
                Query(_SLOWEST, "p95"),
                Query(f"{now(_of_route(0.5))}{_AND_SLOWEST}", "p50"),
                Query(
                    total(rate(f"{DURATION}_count", USERS, over=RANGE), _ROUTE) + _AND_SLOWEST,
                    "rate",
                ),
            ),
            "s",
            snapshot=True,
            columns=(("p95", "s"), ("p50", "s"), ("rate", "reqps")),
            widths=(("method", 70), ("p95", 80), ("p50", 80), ("rate", 110)),
            empty=NOTHING,
            # Ten lines and the heading.
            height=12,
            series_leads=of_route(column),
        ),
    ),
)
_HEAT = Row(
    "Distribution of durations",
    (
        heatmap(
            "Requests by duration",
            12,
            "How many requests a second took how long, without probes and streams: two bands are "
            "two kinds of requests, which a percentile hides. Dots are single requests.",
            by_duration(DURATION, USERS),
            leads=ALL_REQUESTS,
        ),
        heatmap(
            "Statements by duration",
            12,
            "How many statements of the database a second took how long, without those of probes "
            "and scrapes.",
            by_duration(STATEMENTS),
            leads=EVERYTHING,
        ),
    ),
    added=True,
)
_CONNECTIONS = Row(
    "Connections",
    (
        graph(
            "Active HTTP requests",
            12,
            "Requests that are being served at the moment of a scrape. Near the number of request "
            "threads, new ones wait.",
            "none",
            (total(select("vibebox_active_connections"), "instance"), "{{instance}}"),
            bounds=(0, None),
            down="telemetry",
        ),
        graph(
            "WebSocket connections",
            12,
            "Open terminals, log streams and status streams. HighWebSocketConnections warns at "
            f"{100 * t.WEBSOCKET_RATIO:.0f} of 100 that the workers would hold.",
            "none",
            (total(select("vibebox_websocket_connections"), "instance"), "{{instance}}"),
            bounds=(0, None),
        ),
    ),
)
_WORK = Row(
    "Database and workers",
    (
        graph(
            "Database query time by operation",
            24,
            "p95 of statements, without those of probes and scrapes; how they are spread is in "
            "Statements by duration. SlowDatabaseQueries "
            f"warns at a p95 of {t.DATABASE_WARNING} s.",
            "s",
            (quantile(0.95, STATEMENTS, by="operation"), "p95 {{operation}}"),
            thresholds=watched(
                SlowDatabaseQueries=t.DATABASE_WARNING,
                VerySlowDatabaseQueries=t.DATABASE_CRITICAL,
            ),
            exemplars=True,
            # In a narrow window the legend is below, and has five.
            height=13,
            leads=EVERYTHING,
        ),
        graph(
            "Scheduling lag (the threaded counterpart of event-loop lag)",
            24,
            "How late a thread wakes up that asked to sleep 100 ms: a held interpreter lock or a "
            f"starved CPU. HighEventLoopLag warns at a p99 of {t.LAG_SECONDS} s.",
            "s",
            (quantile(0.99, "vibebox_scheduling_lag_seconds", by="instance"), "p99 {{instance}}"),
            bounds=(0, None),
            thresholds=watched(notice=0.05, HighEventLoopLag=t.LAG_SECONDS),
            down="telemetry",
        ),
    ),
)
_LIMITS = Row(
    "Limits",
    (
        events(
            "Refusals by limit",
            16,
            "Requests that a limit refused, the eight most frequent ones. Those that begin "
            "with server_ or host_ are limits of all together, the others of one account or team.",
            "short",
            (
                f"topk(8, {in_bars('vibebox_limit_refusals_total', by='limit')})",
                "{{limit}}",
            ),
            whole=all_in_bars("vibebox_limit_refusals_total", of="limit"),
            height=8,
        ),
        events(
            "Clients cut off by reason",
            8,
            "head, body, answer: they took too long with those; room: there were too "
            "many connections.",
            "short",
            (in_bars("vibebox_clients_cut_off_total", by="reason"), "{{reason}}"),
            whole=all_in_bars("vibebox_clients_cut_off_total", of="reason"),
            height=8,
        ),
    ),
    added=True,
)
_WAIT = "vibebox_http_queue_wait_seconds"
_QUEUE, _SOCKET = "vibebox_worker_queue_depth", "vibebox_accept_queue_depth"
_QUEUED = total(select(_QUEUE), "instance")
_CONNECTED = largest(select(_SOCKET), "instance")
_QUEUES = Row(
    "Queues",
    (
        graph(
            "Wait for a thread",
            12,
            "How long requests wait before anybody works on them, a part of their durations. "
            f"RequestsWaitForThreads warns at a p95 of {t.QUEUE_SECONDS} s.",
            "s",
            *((quantile(share / 100, _WAIT), f"p{share}") for share in (50, 95, 99)),
            thresholds=watched(RequestsWaitForThreads=t.QUEUE_SECONDS),
        ),
        graph(
            "Lengths of queues",
            12,
            "Whole requests that wait in the workers for a thread, and connections that wait in "
            "the kernel for a worker.",
            "none",
            (f"sum({_QUEUED}) + sum({_CONNECTED})", WHOLE),
            (_QUEUED, "requests {{instance}}", BLUE),
            (_CONNECTED, "connections {{instance}}", MAUVE),
            bounds=(0, None),
        ),
        graph(
            "Oldest request",
            24,
            "For how long a thread has served it; what lasts by design is left out. RequestStuck "
            f"warns at {t.STUCK_SECONDS // 60} minutes.",
            "s",
            (
                largest(select("vibebox_http_oldest_request_seconds"), "instance"),
                "{{instance}}",
            ),
            bounds=(0, None),
            thresholds=watched(RequestStuck=t.STUCK_SECONDS),
            height=8,
        ),
    ),
    added=True,
)
_CLIENT_WAIT = "vibebox_http_client_wait_seconds_sum"
_CLIENTS = Row(
    "Clients",
    (
        graph(
            "Connections by what they do",
            16,
            "Over all workers. HighClientConnections warns at "
            f"{100 * t.CONNECTIONS_RATIO:.0f} of 100 that the workers would hold.",
            "none",
            (total(select("vibebox_client_connections"), "state"), "{{state}}"),
            stacked=True,
            bounds=(0, None),
        ),
        graph(
            "Waiting for clients",
            8,
            "For the rest of what they send (receive), or for them to take the answer (send), in "
            "each second: at 100 % there is always one that is waited for. No duration and no "
            "objective has this time.",
            "percentunit",
            (total(rate(_CLIENT_WAIT), "phase"), "{{phase}}"),
            (total(rate(_CLIENT_WAIT)), WHOLE),
            bounds=(0, None),
        ),
    ),
    added=True,
)

BOARD = Board(
    "api-performance",
    "VibeBox - API performance",
    "Which requests are slow or fail, and what holds them up.",
    (
        golden_signals("api-performance"),
        _LATENCY,
        _COURSE,
        _TRAFFIC,
        _HEAT,
        _ROUTES,
        _CONNECTIONS,
        _WORK,
        _QUEUES,
        _CLIENTS,
        _LIMITS,
    ),
)
