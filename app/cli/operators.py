"""`vibebox operators`: who looks after the service: accounts, quotas, the whole audit log."""

import click

from app.cli import env_file, screen
from app.cli.database import database


@click.group()
def operators() -> None:
    """Name operators: the accounts that look after the service.

    They may look after accounts and quotas, and read the whole audit log.
    """


@operators.command()
@click.argument("email")
def grant(email: str) -> None:
    """Make the account of EMAIL an operator."""
    _set(email, operator=True)


@operators.command()
@click.argument("email")
def revoke(email: str) -> None:
    """Take the rights of an operator from the account of EMAIL."""
    _set(email, operator=False)


@operators.command("list")
def list_() -> None:
    """Print the e-mail addresses of the operators."""
    from app.domain.accounts import operators as rules

    with database(env_file.settings()) as opened:
        for email in rules.operators(opened):
            click.echo(screen.line(email))


def _set(email: str, *, operator: bool) -> None:
    from app.domain.accounts import operators as rules

    with database(env_file.settings()) as opened:
        changed = rules.set_operator(opened, email, operator=operator)
        left = rules.operators(opened)
    became = "is an operator" if operator else "is no operator"
    click.echo(f"{email} {became}{' now' if changed else ' already'}.")
    if not left:
        click.echo("VibeBox has no operator now; `vibebox operators grant` names one.", err=True)
