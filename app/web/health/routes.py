"""GET /health, /health/live, /health/ready and /health/metrics."""

from datetime import UTC, datetime

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from app._version import __version__
from app.core.errors import (
    InvalidInputError,
    MetricsForbiddenError,
    StorageUnavailableError,
)
from app.web.health.access import may_scrape, peer_of
from app.web.health.schemas import CheckResult, Collect, Health, Readiness
from app.web.lifecycle import Phase
from app.web.openapi import Answer, problems
from app.web.services import components

api = APIBlueprint(
    "health", __name__, url_prefix="/health", abp_tags=[Tag(name="health", description="Probes")]
)

_SCRAPE = {
    "200": {
        "description": "The metrics, as text or, by Accept, as OpenMetrics or protocol buffers.",
        "content": {
            "text/plain": {"schema": {"type": "string"}},
            "application/openmetrics-text": {"schema": {"type": "string"}},
            "application/vnd.google.protobuf": {"schema": {"type": "string", "format": "binary"}},
        },
    },
    **problems(MetricsForbiddenError, InvalidInputError, StorageUnavailableError),
}


@api.get("", summary="Whether the process answers", responses={200: Health})
def health() -> Answer:
    return _alive()


@api.get("/live", summary="Liveness: whether the process answers", responses={200: Health})
def live() -> Answer:
    return _alive()


@api.get(
    "/ready",
    summary="Readiness: whether database and Docker answer",
    responses={200: Readiness, 503: Readiness},
)
def ready() -> Answer:
    lifecycle = components().lifecycle
    if lifecycle.phase is Phase.DRAINING:
        return _readiness("draining", {}), 503
    results = components().checks.run()
    shown = {
        check.name: CheckResult(status="up" if result.up else "down", latency_ms=result.latency_ms)
        for check, result in results.items()
    }
    if all(result.up for check, result in results.items() if check.required):
        return _readiness("ready", shown), 200
    never_ready = lifecycle.phase is Phase.STARTING
    return _readiness("starting" if never_ready else "unavailable", shown), 503


@api.get(
    "/metrics",
    summary="Metrics of all processes, for Prometheus",
    description="With `collect[]=teams` or `collect[]=environments` (or both) nothing but what "
    "these have used, as series of each. Protocol buffers tell when each total began; text does "
    "so with `created=true`, by series of their own.",
    responses=_SCRAPE,
)
def metrics(query: Collect) -> Answer:
    token = components().settings.metrics_token
    secret = token.get_secret_value() if token else None
    if not may_scrape(peer_of(request.environ), request.headers, secret):
        raise MetricsForbiddenError
    telemetry = components().telemetry
    accept = request.headers.get("Accept", "")
    if query.collect:
        body, content_type = telemetry.usage.render(query.collect, accept)
        return Response(body, content_type=content_type)
    with telemetry.scrapes.serve():
        body, content_type = telemetry.exposition.render(accept, query.created)
    return Response(body, content_type=content_type)


def _alive() -> Response:
    lifecycle = components().lifecycle
    body = Health(timestamp=_now(), uptime=round(lifecycle.uptime, 3), version=__version__)
    return jsonify(body.model_dump())


def _readiness(status: str, checks: dict[str, CheckResult]) -> Response:
    body = Readiness.model_validate({"status": status, "timestamp": _now(), "checks": checks})
    return jsonify(body.model_dump())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
