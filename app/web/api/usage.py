"""GET /api/v1/usage: HTTP only; the rules are in `app.domain.usage.service`."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.domain.usage.service import UsageQuery
from app.web.api.answers import shown
from app.web.api.errors import PARAMETERS
from app.web.api.lasting import takes_long
from app.web.api.schemas.usage import UsageQueryArgs, UsageView, UsedView, usage_view
from app.web.api.tables import csv_answer, wants_csv
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

_OF_THE_ANSWER = {"limit", "offset", "format"}

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
    responses={200: UsageView, **problems(*PARAMETERS)},
)
@takes_long
def index(query: UsageQueryArgs) -> Answer:
    asked = UsageQuery(**query.model_dump(exclude=_OF_THE_ANSWER))
    found = components().usage.report(identity(), asked, limit=query.limit, offset=query.offset)
    view = usage_view(found, query, components().settings.usage_currency)
    if wants_csv(query.format):
        items = (shown(UsedView, item) for item in view.items)
        return csv_answer(list(UsedView.model_fields), items)
    return jsonify(shown(UsageView, view))
