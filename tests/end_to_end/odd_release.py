"""A release of ours with a few more routes: slow ones, large ones, failing ones."""

import shutil
from pathlib import Path

from tests.backends.web import ROOT

ROUTES = '''
import time
from collections.abc import Iterator

from flask import Response
from sqlalchemy import text

from app.web.services import components


def slow(ms: int) -> str:
    """One statement, which takes so long."""
    with components().database.reading() as session:
        session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": ms / 1000})
    return "slow"


def sleep(ms: int) -> str:
    """Something that takes so long."""
    time.sleep(ms / 1000)
    return "slept"


def large(mib: int) -> Response:
    """An answer of so many MiB."""
    return Response(bytes(mib << 20))


def bad_header() -> Response:
    """An answer that cannot be sent."""
    return Response("", headers={"X-Odd": "\\x01"})


def failing(after: int) -> Response:
    """A stream that fails after so many pieces."""

    def pieces() -> Iterator[bytes]:
        for _ in range(after):
            yield b"piece"
        raise RuntimeError("in the stream")

    return Response(pieces())


app.add_url_rule("/slow/<int:ms>", view_func=slow)
app.add_url_rule("/sleep/<int:ms>", view_func=sleep)
app.add_url_rule("/large/<int:mib>", view_func=large)
app.add_url_rule("/failing/<int:after>", view_func=failing)
app.add_url_rule("/bad-header", view_func=bad_header)
'''


def make(directory: Path) -> Path:
    """Make the release in a directory of its own, and return its root."""
    root = directory / "odd"
    shutil.copytree(ROOT / "app", root / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "gunicorn.conf.py", root)
    with (root / "app" / "wsgi.py").open("a") as module:
        module.write(ROUTES)
    return root
