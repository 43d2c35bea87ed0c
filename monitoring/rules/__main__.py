"""`python -m monitoring.rules`: writes alerts.yml, recording.yml, slo.yml and a table."""

from pathlib import Path

import click

from monitoring.rules.rule import CONSOLE, GRAFANA, RUNBOOKS, Links
from monitoring.rules.writing import DIRECTORY, OPENSLO, objectives, write, write_guide


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--grafana",
    default=GRAFANA,
    show_default="the external label grafana_url of Prometheus",
    help="Address of Grafana, for links to dashboards.",
)
@click.option(
    "--runbooks",
    default=RUNBOOKS,
    show_default="the external label runbooks_url of Prometheus",
    help="Where people read monitoring/runbooks.",
)
@click.option(
    "--console",
    default=CONSOLE,
    show_default="the external label console_url of Prometheus",
    help="Address of VibeBox, whose console explains alerts.",
)
@click.option(
    "--directory",
    default=DIRECTORY,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where to write.",
)
def main(grafana: str, runbooks: str, console: str, directory: Path) -> None:
    """Write the rules of Prometheus from the tables of monitoring/rules.

    And, into monitoring/README.md, what tells when the source of a rule is gone; into
    monitoring/openslo.yml, the objectives for tools that read OpenSLO.
    """
    write_guide()
    OPENSLO.write_text(objectives())
    write(directory, Links(grafana.rstrip("/"), runbooks.rstrip("/"), console.rstrip("/")))


if __name__ == "__main__":
    main()
