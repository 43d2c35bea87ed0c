"""What the client of a terminal may say."""

import pytest

from app.web.streams.terminal_messages import Ping, Resize, Shown, parse


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ('{"type": "resize", "cols": 120, "rows": 1}', Resize(120, 1)),
        ('{"type": "shown", "bytes": 0}', Shown(0)),
        ('{"type": "ping", "more": 1}', Ping()),
    ],
)
def test_message_of_ours(message: str, said: object) -> None:
    assert parse(message) == said and type(parse(message)) is type(said)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "ping",
        "[]",
        "1",
        "{}",
        '{"type": "else"}',
        '{"type": "resize", "cols": 0, "rows": 1}',
        '{"type": "resize", "cols": 1001, "rows": 1}',
        '{"type": "resize", "cols": true, "rows": 1}',
        '{"type": "resize", "cols": "80", "rows": 1}',
        '{"type": "resize", "cols": 80}',
        '{"type": "shown", "bytes": -1}',
        '{"type": "shown", "bytes": 1.5}',
        "[" * 100_000,
    ],
)
def test_message_of_anybody_else(message: str) -> None:
    with pytest.raises(ValueError):
        parse(message)
