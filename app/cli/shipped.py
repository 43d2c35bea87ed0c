"""VibeBox's own files that are not Python of the package: where they are, and which of them ship.

In a checkout they lie at its top, the one source. A build copies them into the package (setup.py,
which reads this module before anything is installed: it imports the standard library only), so an
installed wheel has them inside. The working directory is never asked: it may hold anybody's files.
"""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
INSIDE = "_files"
"""The folder of the package into which a build copies them."""
PROCFILE = "Procfile"
SERVER_CONFIGURATION = "gunicorn.conf.py"
# By pattern, so that no token lying in a `secrets` folder is packed. What makes the files (Python)
# or shows them (preview) stays in the checkout.
MONITORING = (
    "README.md",
    "alertmanager/*.yml",
    "alertmanager/secrets/.gitignore",
    "grafana/dashboards/*.json",
    "grafana/dashboards/teams/README.md",
    "grafana/provisioning/*/*.yml",
    "grafana/signals/dashboards/*.json",
    "grafana/signals/dashboards/teams/README.md",
    "grafana/signals/datasources/*.yml",
    "openslo.yml",
    "prometheus/*.yml",
    "prometheus/secrets/.gitignore",
    "prometheus/tests/*.md",
    "prometheus/tests/*.yml",
    "runbooks/*.md",
    "signals/*.yaml",
)
# What the monitoring's README leads to: jobs, receivers and alerts that not everybody wants.
DEPLOY = ("README.md", "alertmanager/*.yml", "blackbox/*.yml", "prometheus/*.yml")


def root() -> Path:
    """Return the directory that has them: inside the package, or the top of the checkout."""
    inside = PACKAGE / INSIDE
    return inside if inside.is_dir() else PACKAGE.parent


def monitoring_files(top: Path) -> list[Path]:
    """Return what ships of the monitoring, below `root` or a checkout, relative to it, sorted."""
    patterns = {"monitoring": MONITORING, "deploy": DEPLOY}
    found = (
        file
        for directory, those in patterns.items()
        for pattern in those
        for file in (top / directory).glob(pattern)
    )
    return sorted(file.relative_to(top) for file in found if file.is_file())


def files(top: Path) -> list[Path]:
    """Return all that a build copies into the package, relative to the top of a checkout."""
    return [Path(PROCFILE), Path(SERVER_CONFIGURATION), *monitoring_files(top)]
