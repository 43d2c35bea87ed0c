"""Requests of a synthetic account: counted under a route of their own, whatever they ask for.

So they stand beside those of people, and objectives and alerts leave them out by the route. Whose a
request is tells its credential. Where none could be checked, as while the database is away, it is
enough that the request says so of itself: who says it falsely has their own failures left out, and
nothing else.
"""

from flask import g, request

from prefork_metrics.exchange import exchange_of

ROUTE = "synthetic"
HEADER = "X-VibeBox-Synthetic"


def note() -> None:
    """Count the request being handled as one of a synthetic account."""
    exchange_of(request.environ).counted_as = ROUTE


def note_failure() -> None:
    """Do so where it is not answered, nobody was recognised, and it says that it is one."""
    if HEADER in request.headers and "identity" not in g:
        note()
