"""The blueprints of the API and of the console, in the order of the documentation."""

from flask import Blueprint
from flask_openapi3 import APIBlueprint

from app.web.api import (
    accounts,
    alerts,
    api_keys,
    audit,
    auth,
    business,
    doctor,
    environments,
    extensions,
    invitations,
    log_stream,
    logs,
    projects,
    quotas,
    request_lines,
    sessions,
    silences,
    status,
    teams,
    templates,
    terminals,
    tickets,
    usage,
)
from app.web.console import access_routes, routes

API: tuple[APIBlueprint, ...] = (
    auth.api,
    api_keys.api,
    accounts.api,
    invitations.api,
    teams.api,
    projects.api,
    quotas.api,
    audit.api,
    usage.api,
    business.api,
    alerts.api,
    silences.api,
    request_lines.api,
    doctor.api,
    environments.api,
    templates.api,
    logs.api,
    status.api,
    log_stream.api,
    sessions.api,
    terminals.api,
    extensions.api,
    tickets.api,
)
"""What the OpenAPI document describes beside the health routes."""

PAGES: tuple[Blueprint, ...] = (routes.pages, access_routes.api)
"""Pages, and what only they use."""
