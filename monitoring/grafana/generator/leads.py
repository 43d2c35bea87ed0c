"""Which traces and log lines panels lead to; `signals` knows how Grafana asks for them.

Attributes are those of the spans (docs/opentelemetry.md), names of fields those of the log lines
(docs/log-events.md).
"""

from collections.abc import Callable

from monitoring.grafana.generator.panels import Leads, Lines, Traces
from monitoring.grafana.generator.signals import VALUE, label

_SERVED = {"span.kind": "server"}
_ERROR = {"error": "true"}

ALL_REQUESTS = Leads(
    Traces("Traces of the time shown; sort them by duration", _SERVED),
    Lines("Requests of the time shown, each with its duration", "| duration_ms > 0"),
)
AS_SLOW = Leads(Traces("Requests that took as long as this", _SERVED, least=f"{VALUE}s"))
FAILED_REQUESTS = Leads(
    Traces("Requests that failed", {**_SERVED, **_ERROR}),
    Lines("Requests that were answered with 5xx", "| status >= 500"),
)
ERRORS_OF_ALL_KINDS = Leads(
    Traces("Requests that failed", {**_SERVED, **_ERROR}),
    Lines("Requests that were answered with 400 and above", "| status >= 400"),
)
OF_STATUS = Leads(
    Traces(
        "Requests with this status", {**_SERVED, "http.response.status_code": label("status_code")}
    ),
    Lines("Requests with this status", f'| status = "{label("status_code")}"'),
)
FAILED_ON_ROUTE = Leads(
    Traces("Requests that failed", {"http.route": label("route"), **_ERROR}),
    Lines("Requests that failed", f'| route = "{label("route")}" | status >= 500'),
)
STATEMENTS_AS_SLOW = Leads(
    Traces(
        "Traces with a statement or a call that took as long as this",
        {"span.kind": "client"},
        least=f"{VALUE}s",
    )
)
CALLS = Leads(Traces("Traces with such a call of Docker", operation=f"docker {label('operation')}"))
CALLS_AS_SLOW = Leads(
    Traces(
        "Traces with such a call that took as long as this",
        operation=f"docker {label('operation')}",
        least=f"{VALUE}s",
    )
)
FAILED_CALLS = Leads(
    Traces("Traces with such a call that failed", _ERROR, operation=f"docker {label('operation')}")
)


def of_route(named: Callable[[str], str]) -> Leads:
    """Return what leads to the requests of a method and a route; `named` stands for them."""
    return Leads(
        Traces(
            "Requests of this route",
            {"http.request.method": named("method"), "http.route": named("route")},
        ),
        Lines(
            "Requests of this route",
            f'| method = "{named("method")}" | route = "{named("route")}"',
        ),
    )
