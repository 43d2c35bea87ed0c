"""What is asked in a transaction before it changes something: whether this process still may.

Of several agents one leads, and may find out late that another does by now: so it proves it in the
same transaction that writes (see `app.agent.leader.lease`).
"""

from collections.abc import Callable

from sqlalchemy.orm import Session

Fence = Callable[[Session], None]
"""Raises where nothing may be written."""


def unfenced(_session: Session) -> None:
    """Let the transaction be: whoever writes does not write in the leader's name."""
