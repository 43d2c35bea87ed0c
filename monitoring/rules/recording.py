"""Recording rules that two alerts share."""

from monitoring.rules.expressions import NO_WAITING, quantile
from monitoring.rules.rule import Group, Record

HTTP = "vibebox_http_request_duration_seconds"
DATABASE = "vibebox_db_query_duration_seconds"
HTTP_P95 = "vibebox:http_request_duration_seconds:p95_5m"
DATABASE_P95 = "vibebox:db_query_duration_seconds:p95_5m"

GROUPS = (
    Group(
        "latency",
        (
            Record(HTTP_P95, quantile(0.95, "job", HTTP, NO_WAITING)),
            Record(DATABASE_P95, quantile(0.95, "job", DATABASE)),
        ),
    ),
)
