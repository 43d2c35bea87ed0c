"""/api/v1/alerts: HTTP only; the rules are in `app.domain.alerts.service`."""

import hmac
from collections.abc import Sequence
from typing import Any

from flask import jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    AlertNotFoundError,
    AlertsNotReceivedError,
    InvalidTokenError,
    StoreUnavailableError,
    TooManyAttemptsError,
    VibeBoxError,
)
from app.domain.alerts.silences import muting
from app.domain.alerts.sources import NEITHER
from app.explaining.answer import Explanation
from app.explaining.readers import Account
from app.stores.alertmanager import Silence
from app.web.api.answers import paged, shown
from app.web.api.errors import BODY, PARAMETERS, SIGNED_IN, TOKEN
from app.web.api.lasting import takes_long
from app.web.api.schemas.alerts import (
    AlertPage,
    AlertPath,
    AlertQuery,
    AlertView,
    HeartbeatView,
    ReceiptView,
    Webhook,
)
from app.web.authentication import authenticate, bearer_token, identity
from app.web.openapi import BEARER, Answer, allow_body, problems
from app.web.services import components

MAX_NOTIFICATION_BYTES = 8 * 1024 * 1024
"""More than other bodies: it holds whatever fires, and what is refused is not sent again."""
_WEBHOOK: list[dict[str, list[Any]]] = [{"alertmanager": []}]
_RECEIVE = (*BODY, *TOKEN, AlertsNotReceivedError, TooManyAttemptsError)
api = APIBlueprint(
    "alerts",
    __name__,
    url_prefix="/api/v1/alerts",
    abp_tags=[Tag(name="alerts", description="What Alertmanager tells of this service")],
)


@api.before_request
def _guard() -> None:
    if request.endpoint == "alerts.receive":
        _authenticate_alertmanager()
        # As many members as fit: the schema bounds the alerts.
        allow_body(MAX_NOTIFICATION_BYTES, MAX_NOTIFICATION_BYTES)
    else:
        authenticate()


@api.post(
    "",
    summary="Take in a notification of Alertmanager (its webhook, version 4)",
    security=_WEBHOOK,
    responses={200: ReceiptView, **problems(*_RECEIVE)},
)
def receive(body: Webhook) -> Answer:
    notices = [alert.notice() for alert in body.alerts]
    receipt = components().alerts.receive(notices, body.truncated)
    return jsonify(shown(ReceiptView, receipt))


@api.get(
    "",
    summary="List the alerts that fire",
    security=BEARER,
    responses={200: AlertPage, **problems(*PARAMETERS, StoreUnavailableError)},
)
@takes_long
def index(query: AlertQuery) -> Answer:
    sources = components().alert_sources
    page = sources.list(identity(), ended=query.ended, limit=query.limit, offset=query.offset)
    silences = _current_silences() if page.items else []

    def view(alert: Any) -> dict[str, Any]:
        return shown(AlertView, AlertView.of(alert, muting(silences, alert.labels)))

    missing = NEITHER if sources.source is None else None
    return paged(page, view, query, source=sources.source, missing=missing)


@api.get(
    "/heartbeat",
    summary="Whether alerts arrive: the heartbeat of alerting",
    security=BEARER,
    responses={200: HeartbeatView, **problems(*SIGNED_IN)},
)
def heartbeat() -> Answer:
    found = components().alerts.heartbeat.read_for(identity())
    return jsonify(shown(HeartbeatView, HeartbeatView.of(found)))


@api.get(
    "/<alert_id>/explanation",
    summary="What an alert comes from: its culprit, and the evidence that you may read",
    security=BEARER,
    responses={200: Explanation, **problems(*PARAMETERS, AlertNotFoundError)},
)
@takes_long
def explanation(path: AlertPath) -> Answer:
    reader = Account(identity(), components().environments, components().logs)
    found = components().explanations.explain(reader, path.alert_id)
    return jsonify(shown(Explanation, found))


def _current_silences() -> Sequence[Silence]:
    """Return them where Alertmanager can be asked: what fires is told in any case."""
    try:
        return components().silences.current()
    except VibeBoxError:
        return []


def _authenticate_alertmanager() -> None:
    """Let in who holds the token of the settings, and nobody where there is none."""
    if request.method == "OPTIONS":
        return
    token = components().settings.alerts_token
    if token is None:
        raise AlertsNotReceivedError
    with components().attempts.failures():
        if not hmac.compare_digest(bearer_token().encode(), token.get_secret_value().encode()):
            raise InvalidTokenError("The token is not the value of VIBEBOX_ALERTS_TOKEN.")
