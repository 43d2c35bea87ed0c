"""The directory of the metrics: that processes can join it, and that nothing else lies in it.

Whose it is, the check of the web server says.
"""

from pathlib import Path

from app.core.settings import Settings
from app.doctor.findings import Finding, failed, ok, warning
from prefork_metrics.directory import Trouble, layout, trouble_with

_SHOWN = 3
_ROOM = "Make room on its disk, or enlarge it: what new processes count is not shown until then."
_NEXT_STEPS = {
    Trouble.FULL: _ROOM,
    Trouble.READ_ONLY: "Mount it for writing: see the system's log for why it is not.",
    Trouble.DENIED: "Run this as the user of the web server and the agent; where that is so, give "
    "it to that user.",
    Trouble.MISSING: "Start the web server, which makes it; where one runs, it was deleted: "
    "restart it. A relative path counts from the working directory.",
}
_OTHERWISE = "See the system's log, and restart the web server when the directory can be used."


def look(settings: Settings) -> Finding:
    """Return what keeps processes from sharing what they count, now or at the next start."""
    directory = Path(settings.prometheus_multiproc_dir).absolute()
    if found := trouble_with(directory):
        trouble, error = found
        return failed(
            f"PROMETHEUS_MULTIPROC_DIR={directory} cannot be used: {error.strerror}.",
            _NEXT_STEPS.get(trouble, _OTHERWISE),
        )
    if foreign := layout.scan(directory).foreign:
        more = ", …" if len(foreign) > _SHOWN else ""
        return warning(
            f"PROMETHEUS_MULTIPROC_DIR={directory} holds other things: "
            f"{', '.join(foreign[:_SHOWN])}{more}.",
            "Move them elsewhere: the next start of a web server refuses such a directory.",
        )
    return ok(f"{directory} has room, and holds metrics alone.")
