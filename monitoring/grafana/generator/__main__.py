"""`python -m monitoring.grafana.generator [DIRECTORY]`: writes one file for each dashboard.

They are written twice: into `dashboards`, and with links into traces and logs into
`signals/dashboards`, for a Grafana that has those.
"""

import sys
from pathlib import Path

from monitoring.grafana.generator import BOARDS
from monitoring.grafana.generator.model import as_text

GRAFANA = Path(__file__).parents[1]
PLACES = {"dashboards": False, "signals/dashboards": True}
"""Where dashboards are written, and whether these lead into traces and logs."""


def main(directory: Path) -> None:
    """Write every dashboard into the directories below this one."""
    for place, signals in PLACES.items():
        (directory / place).mkdir(parents=True, exist_ok=True)
        for board in BOARDS:
            (directory / place / f"{board.uid}.json").write_text(as_text(board, BOARDS, signals))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GRAFANA)
