"""The test modules of a whole run are prepared by all its processes together, not by each of them.

pytest rewrites the assertions of each module and keeps the result beside it. Processes that collect
the same modules in the same order would all do all of it at the same time, which is half a minute
of a clean clone; so each first imports a share of its own, and finds the others' shares done.
"""

from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Import this process' share of the modules; the collection tells what cannot be imported."""
    mine: dict[str, str] = getattr(session.config, "workerinput", {})
    if not mine or session.config.args != session.config.getini("testpaths"):
        return
    number, count = int(mine["workerid"].removeprefix("gw")), int(mine["workercount"])
    for path in sorted((_ROOT / "tests").rglob("test_*.py"))[number::count]:
        with suppress(Exception, pytest.skip.Exception):
            import_module(".".join(path.relative_to(_ROOT).with_suffix("").parts))
