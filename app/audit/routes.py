"""GET /api/v1/audit: HTTP only; the rules are in `service`."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.accounts.guard import authenticate, identity
from app.admission.routes import takes_long
from app.audit.schemas import AuditPage, AuditQuery, AuditView
from app.audit.service import Filters
from app.components import components
from app.errors import (
    AuthenticationError,
    InvalidInputError,
    InvalidTokenError,
    PermissionDeniedError,
    StorageUnavailableError,
)
from app.openapi import BEARER, Answer, problems

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
    responses={
        200: AuditPage,
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
def index(query: AuditQuery) -> Answer:
    filters = Filters(**query.model_dump(exclude={"limit", "cursor"}))
    found = components().audit_log.list(identity(), filters, limit=query.limit, cursor=query.cursor)
    items = [AuditView.model_validate(entry).model_dump(mode="json") for entry in found.items]
    return jsonify(items=items, cursor=found.cursor)
