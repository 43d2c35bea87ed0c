"""`vibebox completion`: the script that makes a shell complete commands and names."""

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For bash: source <(vibebox completion bash). It completes commands, options and the names of
    environments.
    """
    from click.shell_completion import get_completion_class

    root = context.find_root()
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells of the choice"
    click.echo(kind(root.command, {}, "vibebox", "_VIBEBOX_COMPLETE").source())
