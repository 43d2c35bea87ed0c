"""docs/log-events.md lists what the code logs: each event with its levels and fields."""

import logging
import re
import subprocess
from pathlib import Path

import pytest

from app.core.context import Context, context
from app.core.logging import JsonFormatter
from scripts import log_events
from scripts.log_events import EventError, events_of

PAGE = log_events.PAGE.read_text()
_LEVEL = "(?:debug|info|warning|error|critical)"
_ROW = re.compile(rf"^\| `([^`]+)` \| ({_LEVEL}(?:, {_LEVEL})*) \|", re.MULTILINE)
_COMMAND = re.compile(r"^\$ (grep .*)$", re.MULTILINE)


def test_page_lists_exactly_the_events_of_the_code_with_their_levels() -> None:
    listed = sorted((name, sorted(levels.split(", "))) for name, levels in _ROW.findall(PAGE))
    logged = sorted((event.name, sorted(event.levels)) for event in log_events.events())
    assert listed == logged, "run: python scripts/log_events.py"


def test_page_is_as_it_is_generated() -> None:
    assert log_events.page() == PAGE, "run: python scripts/log_events.py"


def test_every_event_is_described() -> None:
    said = log_events.descriptions(PAGE)
    assert [name for name, words in said.items() if log_events.NEW in words or "" in words] == []


def test_event_is_found_however_it_is_logged() -> None:
    """By level, by a condition, prepared, and by what is handed a logger."""
    log = "import logging\n_log = logging.getLogger(__name__)\n"
    found = events_of(
        {
            "app.web.plain": f"{log}def f(why):\n"
            "    extra = {'a': 1}\n"
            "    _log.warning('begins', extra={**extra, 'why': why})\n"
            "    _log.exception('begins')\n"
            "    _log.log(logging.INFO if why else logging.DEBUG, 'x: %s', why)\n"
            "    _log.info('yes' if why else 'no', exc_info=why)\n",
            "app.web.lines": "_log = logging.getLogger('app.access')\n"
            "_lines = LogLines(_log, 'request')\n"
            "def known(a):\n    return {'b': a}\n"
            "def more(a):\n    fields: dict = {'c': a}\n    fields['d'] = 2\n    return fields\n"
            "def f(a):\n    level = logging.INFO\n"
            "    _lines.write(level, _lines.known((a,), known), more(a))\n",
            "app.agent.given": "class Outages:\n    def f(self):\n        self._log.error('x')\n",
            "app.agent.giving": f"{log}Outages('loop', _log)\n",
        }
    )
    rows = [
        (one.name, *(sorted(s) for s in (one.levels, one.loggers, one.fields))) for one in found
    ]
    assert rows == [
        ("request", ["info"], ["app.access"], ["b", "c", "d"]),
        ("x", ["error"], ["app.agent.giving"], []),
        ("begins", ["error", "warning"], ["app.web.plain"], ["a", "exception", "why"]),
        ("no", ["info"], ["app.web.plain"], ["exception"]),
        ("x: …", ["debug", "info"], ["app.web.plain"], []),
        ("yes", ["info"], ["app.web.plain"], ["exception"]),
    ]


@pytest.mark.parametrize(
    "call",
    ["_log.info(text)", "_log.info(f'{text} is odd')", "_log.log(text, 'x')", "logger.info('x')"],
)
def test_event_that_cannot_be_told_is_refused(call: str) -> None:
    source = f"_log = logging.getLogger(__name__)\ndef f(text, logger):\n    {call}\n"
    with pytest.raises(EventError, match=r"app\.odd:3"):
        events_of({"app.odd": source})


def test_commands_of_the_page_find_what_it_says(tmp_path: Path) -> None:
    commands = _COMMAND.findall(PAGE)
    (id_asked,) = re.findall(r'"request_id": "(\w+)"', commands[1])
    lines = [_line(logging.INFO, "x"), _line(logging.ERROR, "x"), _line(logging.INFO, id_asked)]
    (tmp_path / "vibebox.log").write_text("\n".join(lines) + "\n")
    found = [
        subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.splitlines()
        for command in commands
    ]
    assert found == [[lines[1]], [lines[2]]]


def _line(level: int, id: str) -> str:
    token = context.set(Context(id))
    try:
        return JsonFormatter().format(
            logging.makeLogRecord({"levelno": level, "levelname": logging.getLevelName(level)})
        )
    finally:
        context.reset(token)
