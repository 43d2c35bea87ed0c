"""GET /api/v1/usage: HTTP only; the rules are in `service`."""

import csv
from io import StringIO

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    AuthenticationError,
    InvalidInputError,
    InvalidTokenError,
    PermissionDeniedError,
    StorageUnavailableError,
)
from app.domain.usage.service import UsageQuery
from app.web.api.lasting import takes_long
from app.web.api.schemas.usage import UsageQueryArgs, UsageView, UsedView, usage_view
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

_OF_THE_ANSWER = {"limit", "offset", "format"}
_CSV = "text/csv"
# What spreadsheets take for the beginning of a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")

api = APIBlueprint(
    "usage",
    __name__,
    url_prefix="/api/v1/usage",
    abp_tags=[Tag(name="usage", description="What environments have used, and what it costs")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "",
    summary="What was used, of what is yours and your teams' (operators: of all)",
    description="As CSV where `format` or the header Accept asks for it: the items of the page.",
    responses={
        200: UsageView,
        **problems(
            AuthenticationError,
            InvalidTokenError,
            PermissionDeniedError,
            StorageUnavailableError,
            InvalidInputError,
        ),
    },
)
@takes_long
def index(query: UsageQueryArgs) -> Answer:
    asked = UsageQuery(**query.model_dump(exclude=_OF_THE_ANSWER))
    found = components().usage.report(identity(), asked, limit=query.limit, offset=query.offset)
    view = usage_view(found, query, components().settings.usage_currency)
    if _wants_csv(query):
        return Response(_as_csv(view), mimetype=_CSV)
    return jsonify(view.model_dump(mode="json"))


def _wants_csv(query: UsageQueryArgs) -> bool:
    if query.format is not None:
        return query.format == "csv"
    return request.accept_mimetypes.best_match(["application/json", _CSV]) == _CSV


def _as_csv(view: UsageView) -> str:
    written = StringIO()
    table = csv.DictWriter(written, list(UsedView.model_fields))
    table.writeheader()
    for item in view.items:
        row = item.model_dump(mode="json")
        table.writerow({**row, "name": _harmless(item.name)})
    return written.getvalue()


def _harmless(name: str | None) -> str | None:
    return f"'{name}" if name and name.startswith(_FORMULAS) else name
