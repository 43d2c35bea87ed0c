"""What links may name: attributes of spans, fields of log lines, data sources."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
SIGNALS = ROOT / "monitoring" / "grafana" / "signals"
SOURCES = {
    "vibebox-prometheus": "prometheus",
    "vibebox-jaeger": "jaeger",
    "vibebox-loki": "loki",
}
OF_RECORDS = {"service_name", "trace_id", "span_id", "request_id"}
"""What Loki has beside the fields of a line: of its resource and its record."""
_ROW = re.compile(r"^\| `[^`]+` \| [\w, ]+ \| `[\w.]+` \| ([^|]*) \|", re.MULTILINE)


@cache
def attributes() -> frozenset[str]:
    """Return the attributes that the recorder gives to spans, as its source names them."""
    text = "".join(file.read_text() for file in (ROOT / "app" / "tracing").glob("*.py"))
    return frozenset(re.findall(r'"([a-z_]+(?:\.[a-z_]+)+)"', text))


@cache
def fields() -> frozenset[str]:
    """Return the fields of the service's log lines, as docs/log-events.md lists them."""
    rows = _ROW.findall((ROOT / "docs" / "log-events.md").read_text())
    return frozenset(re.findall(r"`(\w+)`", " ".join(rows))) | OF_RECORDS
