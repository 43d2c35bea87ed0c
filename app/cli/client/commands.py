"""The commands of a developer who uses a VibeBox: a client of its public API.

Nothing here reads the settings of the service or opens its database; the client runs on any machine
that reaches the service. What takes long to import is imported by the command that needs it.
"""

import click

from app.cli.client.account_commands import login, logout, whoami
from app.cli.client.alert_commands import alerts
from app.cli.client.attach_command import attach
from app.cli.client.business_command import business
from app.cli.client.completion import completion
from app.cli.client.edit_command import edit
from app.cli.client.environment_commands import create, ls, rm, show
from app.cli.client.extension_commands import ext
from app.cli.client.listing_commands import quota, templates
from app.cli.client.log_commands import logs
from app.cli.client.login_commands import logins, password
from app.cli.client.project_commands import projects
from app.cli.client.running_commands import pause, restart, start, stats, stop, unpause
from app.cli.client.team_commands import members, teams
from app.cli.client.token_commands import token
from app.cli.client.usage_commands import usage
from app.cli.client.vscode_command import vscode

COMMANDS: tuple[click.Command, ...] = (
    login,
    logout,
    whoami,
    password,
    logins,
    token,
    create,
    ls,
    show,
    edit,
    start,
    stop,
    restart,
    pause,
    unpause,
    rm,
    logs,
    attach,
    stats,
    ext,
    vscode,
    templates,
    quota,
    usage,
    business,
    alerts,
    teams,
    members,
    projects,
    completion,
)
"""In the order in which they are shown."""
