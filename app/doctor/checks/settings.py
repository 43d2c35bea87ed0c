"""The settings: that they can be used was seen before anything else; here what they have left."""

from app.core.settings import retired_in_use
from app.doctor.findings import Finding, ended, ok, warning

NAME = "settings"


def look() -> Finding:
    """Return what an operator should change before the next release does."""
    if retired := retired_in_use():
        return warning(
            ended("; ".join(retired)),
            "Set what takes its place, and leave the old name out.",
        )
    return ok("All settings are valid.")
