"""Which traces and log lines panels lead to; `signals` knows how Grafana asks for them.

Attributes are those of the spans (docs/opentelemetry.md), names of fields those of the log lines
(docs/log-events.md). All that is asked for is of one span. Neither its kind nor its status is an
attribute that Jaeger can search in each of its stores, so that ours stand for them.
"""

from collections.abc import Callable

from monitoring.grafana.generator.panels import Leads, Lines, Traces
from monitoring.grafana.generator.signals import label

_REQUEST = {"url.scheme": "http"}
"""What every span of a request has, and no other."""
_FAILED = {"vibebox.kept_because": "failed"}

ALL_REQUESTS = Leads(
    Traces("Requests of the time shown; sort them by duration", _REQUEST),
    Lines("Requests of the time shown, each with its duration", "| duration_ms > 0"),
)
FAILED_REQUESTS = Leads(
    Traces("Requests that failed", {**_REQUEST, **_FAILED}),
    Lines("Requests that were answered with 5xx", "| status >= 500"),
)
ERRORS_OF_ALL_KINDS = Leads(
    Traces("Requests that failed", {**_REQUEST, **_FAILED}),
    Lines("Requests that were answered with 400 and above", "| status >= 400"),
)
OF_STATUS = Leads(
    Traces("Requests with this status", {"http.response.status_code": label("status_code")}),
    Lines("Requests with this status", f'| status = "{label("status_code")}"'),
)
FAILED_ON_ROUTE = Leads(
    Traces("Requests that failed", {"http.route": label("route"), **_FAILED}),
    Lines("Requests that failed", f'| route = "{label("route")}" | status >= 500'),
)
EVERYTHING = Leads(Traces("Requests and tasks of the time shown; sort them by duration"))
CALLS = Leads(Traces("Traces with such a call of Docker", operation=f"docker {label('operation')}"))


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
