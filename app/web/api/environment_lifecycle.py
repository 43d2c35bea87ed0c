"""What is done with one environment, over HTTP."""

from typing import Any

from flask import Response, jsonify, request

from app.core.errors import (
    BodyTooLargeError,
    EngineConflictError,
    EnvironmentConflictError,
    ExecutableMissingError,
    ImageMissingError,
    ImagePullError,
    LimitsRefusedError,
    MalformedBodyError,
    PortReservedError,
    PortTakenError,
    QuotaExceededError,
    SecretsUnavailableError,
    SpecificationRefusedError,
    TooManyStreamsError,
)
from app.web.api.answers import shown
from app.web.api.environments_blueprint import api, view
from app.web.api.errors import ENGINE, ENVIRONMENT
from app.web.api.lasting import takes_long
from app.web.api.schemas.environment_views import EnvironmentView, StartingView, StatsView
from app.web.api.schemas.environments import EnvironmentPath, EventsQuery, StartOptions, StartQuery
from app.web.authentication import identity
from app.web.openapi import Answer, problems
from app.web.problems import refuse_malformed_body
from app.web.services import components
from prefork_metrics.exchange import exchange_of

_STOP = (*ENVIRONMENT, *ENGINE, EnvironmentConflictError, EngineConflictError)
_LAUNCH = (
    *ENVIRONMENT,
    *ENGINE,
    EnvironmentConflictError,
    QuotaExceededError,
    EngineConflictError,
    LimitsRefusedError,
    SpecificationRefusedError,
    PortReservedError,
    PortTakenError,
    ImageMissingError,
    ExecutableMissingError,
    SecretsUnavailableError,
)
_START = (*_LAUNCH, ImagePullError, MalformedBodyError, BodyTooLargeError)
# `itemSchema` is what OpenAPI 3.2 calls the schema of one event.
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["status", "pull", "end"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_EVENT_STREAM = {
    "description": "Server-sent events: `status` {status, error}, and `pull` {image, layers, "
    "bytes_done, bytes_total, percent} while the start waits for its image. `end` {code, reason} "
    "comes last where the stream ends early; the codes are those of the WebSockets.",
    "content": {"text/event-stream": {"itemSchema": _EVENT}},
}


@api.post(
    "/<environment_id>/start",
    summary="Start an environment; where its image is pulled first the start goes on alone",
    responses={200: EnvironmentView, 202: StartingView, **problems(*_START)},
)
@takes_long
def start(path: EnvironmentPath, query: StartQuery, body: StartOptions) -> Answer:
    refuse_malformed_body()
    if query.wait:
        exchange_of(request.environ).lasts()
    started = components().environments.start(identity(), path.environment_id, pull=body.pull)
    environment = components().streams.waiting.for_start(identity(), started, query.wait)
    if environment.status != "starting":
        return jsonify(view(environment))
    location = f"{api.url_prefix}/{environment.id}"
    response = jsonify(view(environment) | {"events_url": f"{location}/events"})
    response.headers["Location"] = location
    return response, 202


@api.post(
    "/<environment_id>/stop",
    summary="Stop an environment; its container stays",
    responses={200: EnvironmentView, **problems(*_STOP)},
)
@takes_long
def stop(path: EnvironmentPath) -> Answer:
    return jsonify(view(components().environments.stop(identity(), path.environment_id)))


@api.post(
    "/<environment_id>/restart",
    summary="Restart an environment",
    responses={200: EnvironmentView, **problems(*_LAUNCH)},
)
@takes_long
def restart(path: EnvironmentPath) -> Answer:
    return jsonify(view(components().environments.restart(identity(), path.environment_id)))


@api.post(
    "/<environment_id>/pause",
    summary="Freeze what runs in an environment",
    responses={200: EnvironmentView, **problems(*_STOP)},
)
@takes_long
def pause(path: EnvironmentPath) -> Answer:
    return jsonify(view(components().environments.pause(identity(), path.environment_id)))


@api.post(
    "/<environment_id>/unpause",
    summary="Let a paused environment go on",
    responses={200: EnvironmentView, **problems(*_STOP)},
)
@takes_long
def unpause(path: EnvironmentPath) -> Answer:
    return jsonify(view(components().environments.unpause(identity(), path.environment_id)))


@api.get(
    "/<environment_id>/stats",
    summary="What a running environment uses; takes about a second",
    responses={200: StatsView, **problems(*ENVIRONMENT, *ENGINE, EnvironmentConflictError)},
)
@takes_long
def stats(path: EnvironmentPath) -> Answer:
    found = components().environments.stats(identity(), path.environment_id)
    return jsonify(shown(StatsView, found))


@api.get(
    "/<environment_id>/events",
    summary="What happens to an environment, as server-sent events",
    responses={200: _EVENT_STREAM, **problems(*ENVIRONMENT, TooManyStreamsError)},
)
def events(path: EnvironmentPath, query: EventsQuery) -> Answer:
    exchange_of(request.environ).lasts()
    stream: Any = components().streams.events.open(
        identity(), path.environment_id, follow=query.follow
    )
    # A proxy that buffers would hold back what is meant for now.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(stream, mimetype="text/event-stream", headers=headers)
