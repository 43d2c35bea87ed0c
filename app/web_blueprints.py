"""Every blueprint of the application, in the order in which the documentation lists them."""

from flask import Blueprint
from flask_openapi3 import APIBlueprint

from app.accounts import account_routes, invitation_routes, key_routes
from app.accounts import routes as auth_routes
from app.alerts import routes as alert_routes
from app.audit import routes as audit_routes
from app.console import access_routes
from app.console import routes as console_routes
from app.environments import routes as environment_routes
from app.environments import stream_routes, template_routes
from app.extensions import routes as extension_routes
from app.health import routes as health_routes
from app.logs import routes as log_routes
from app.logs import stream_routes as log_stream_routes
from app.projects import routes as project_routes
from app.quotas import routes as quota_routes
from app.sessions import routes as session_routes
from app.sessions import terminal_routes
from app.teams import routes as team_routes
from app.websockets import routes as ticket_routes

API: tuple[APIBlueprint, ...] = (
    health_routes.api,
    auth_routes.api,
    key_routes.api,
    account_routes.api,
    invitation_routes.api,
    team_routes.api,
    project_routes.api,
    quota_routes.api,
    audit_routes.api,
    alert_routes.api,
    environment_routes.api,
    template_routes.api,
    log_routes.api,
    stream_routes.api,
    log_stream_routes.api,
    session_routes.api,
    terminal_routes.api,
    extension_routes.api,
    ticket_routes.api,
)
"""What the OpenAPI document describes."""

PAGES: tuple[Blueprint, ...] = (console_routes.pages, access_routes.api)
"""Pages, and what only they use."""
