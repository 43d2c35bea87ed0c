"""Whether this process can open anything at all: what fails for want of that says nothing else."""

import errno
import os

NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE})
"""What the system says then."""
NEXT_STEP = (
    "This process of VibeBox has no file descriptor left. Raise its limit (ulimit -n; LimitNOFILE "
    "of systemd, ulimits of Compose), or lower VIBEBOX_THREADS."
)
"""For the operator."""


def are_used_up() -> bool:
    """Tell whether nothing can be opened at this moment, whatever it is."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in NONE_LEFT
    return False
