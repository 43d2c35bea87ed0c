"""Every blueprint of the application, in the order in which the documentation lists them."""

from flask import Blueprint
from flask_openapi3 import APIBlueprint

from app.web.api import accounts, api_keys, invitations, status, templates, terminals
from app.web.api import alerts as alert_routes
from app.web.api import audit as audit_routes
from app.web.api import auth as auth_routes
from app.web.api import environments as environment_routes
from app.web.api import extensions as extension_routes
from app.web.api import log_stream as log_stream_routes
from app.web.api import logs as log_routes
from app.web.api import projects as project_routes
from app.web.api import quotas as quota_routes
from app.web.api import sessions as session_routes
from app.web.api import teams as team_routes
from app.web.api import tickets as ticket_routes
from app.web.console import access_routes
from app.web.console import routes as console_routes
from app.web.health import routes as health_routes

API: tuple[APIBlueprint, ...] = (
    health_routes.api,
    auth_routes.api,
    api_keys.api,
    accounts.api,
    invitations.api,
    team_routes.api,
    project_routes.api,
    quota_routes.api,
    audit_routes.api,
    alert_routes.api,
    environment_routes.api,
    templates.api,
    log_routes.api,
    status.api,
    log_stream_routes.api,
    session_routes.api,
    terminals.api,
    extension_routes.api,
    ticket_routes.api,
)
"""What the OpenAPI document describes."""

PAGES: tuple[Blueprint, ...] = (console_routes.pages, access_routes.api)
"""Pages, and what only they use."""
