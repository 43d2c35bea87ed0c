"""GET /api/v1/business: HTTP only; the rules are in `app.domain.business.service`."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import BusinessNotCountedError
from app.web.api.answers import shown
from app.web.api.errors import PARAMETERS
from app.web.api.schemas.business import BusinessQuery, BusinessView, CohortView, business_view
from app.web.api.tables import csv_answer, wants_csv
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

api = APIBlueprint(
    "business",
    __name__,
    url_prefix="/api/v1/business",
    abp_tags=[Tag(name="business", description="How many sign up, get to a shell, and come back")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "",
    summary="Sign-ups, first steps and returns, of all accounts together (operators)",
    description="As CSV where `format` or the header Accept asks for it: the cohorts.",
    responses={200: BusinessView, **problems(*PARAMETERS, BusinessNotCountedError)},
)
def index(query: BusinessQuery) -> Answer:
    view = business_view(components().business.report(identity(), query.since, query.until))
    if wants_csv(query.format):
        cohorts = (shown(CohortView, one) for one in view.cohorts)
        return csv_answer(list(CohortView.model_fields), cohorts)
    return jsonify(shown(BusinessView, view))
