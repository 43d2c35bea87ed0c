"""What a receiver says, as it is logged."""

import re

from app.core.logging import redact

_MOST_SHOWN = 300
_MOST_READ = 4 * _MOST_SHOWN
"""Of more, what is to be redacted would be looked for too long."""
_READABLE = re.compile(r"[\x20-\x7e]{4,}")


def shown(text: str) -> str:
    """Return what a person can read of it: not much, and no secret that can be told as one."""
    readable = " ".join(_READABLE.findall(text[: 64 * 1024]))
    return redact(readable[:_MOST_READ])[:_MOST_SHOWN].strip()
