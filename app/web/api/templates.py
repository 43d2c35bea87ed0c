"""/api/v1/templates: what a new environment can be filled from."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel

from app.domain.environments.templates import Template
from app.web.api.answers import shown
from app.web.api.errors import SIGNED_IN
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

api = APIBlueprint(
    "templates",
    __name__,
    url_prefix="/api/v1/templates",
    abp_tags=[Tag(name="templates", description="What new environments are filled from")],
    abp_security=BEARER,
)
api.before_request(authenticate)


class TemplateList(BaseModel):
    """All templates."""

    items: list[Template]


@api.get(
    "",
    summary="List the templates of environments",
    responses={200: TemplateList, **problems(*SIGNED_IN)},
)
def index() -> Answer:
    templates = components().environments.templates(identity())
    return jsonify(items=[shown(Template, one) for one in templates])
