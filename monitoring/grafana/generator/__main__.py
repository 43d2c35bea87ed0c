"""`python -m monitoring.grafana.generator [DIRECTORY]`: writes one file for each dashboard."""

import sys
from pathlib import Path

from monitoring.grafana.generator import BOARDS
from monitoring.grafana.generator.model import as_text

DASHBOARDS = Path(__file__).parents[1] / "dashboards"


def main(directory: Path) -> None:
    """Write every dashboard into the directory."""
    for board in BOARDS:
        (directory / f"{board.uid}.json").write_text(as_text(board, BOARDS))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DASHBOARDS)
