"""GET /api/v1/audit: HTTP only; the rules are in `app.domain.audit.service`."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.domain.audit.service import Filters
from app.web.api.answers import shown
from app.web.api.errors import PARAMETERS
from app.web.api.lasting import takes_long
from app.web.api.schemas.audit import AuditPage, AuditQuery, AuditView
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

api = APIBlueprint(
    "audit",
    __name__,
    url_prefix="/api/v1/audit",
    abp_tags=[Tag(name="audit", description="Who changed what, from where")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "",
    summary="The audit log: operators see all of it, others what concerns them",
    responses={200: AuditPage, **problems(*PARAMETERS)},
)
@takes_long
def index(query: AuditQuery) -> Answer:
    filters = Filters(**query.model_dump(exclude={"limit", "cursor"}))
    found = components().audit_log.list(identity(), filters, limit=query.limit, cursor=query.cursor)
    items = [shown(AuditView, entry) for entry in found.items]
    return jsonify(items=items, cursor=found.cursor)
