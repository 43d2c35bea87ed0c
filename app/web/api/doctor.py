"""/api/v1/doctor: HTTP only; the checks are in `app.doctor`."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.doctor.answer import Examination
from app.web.api.answers import shown
from app.web.api.errors import SIGNED_IN
from app.web.api.lasting import takes_long
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

api = APIBlueprint(
    "doctor",
    __name__,
    url_prefix="/api/v1/doctor",
    abp_tags=[Tag(name="doctor", description="What is wrong with this installation")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "",
    summary="Examine the installation: what is wrong, and the next step",
    responses={200: Examination, **problems(*SIGNED_IN)},
)
@takes_long
def index() -> Answer:
    return jsonify(shown(Examination, components().doctor.examine_for(identity())))
