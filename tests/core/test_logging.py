"""Logs: one JSON object a line, bound to the request, without secrets."""

import json
import logging
import sys
from time import process_time
from typing import Any

import pytest

from app.core.context import Context, context
from app.core.logging import JsonFormatter, config, redact

TOKEN = "vbx_at_8Zk3-x_Y"
SECRET = "hunter2hunter2"


def line(message: str, *arguments: object, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the formatter makes of a record."""
    record = logging.getLogger("app.test").makeRecord(
        "app.test", logging.WARNING, __file__, 1, message, arguments, None, extra=extra
    )
    text = JsonFormatter().format(record)
    assert "\n" not in text
    entry: dict[str, Any] = json.loads(text)
    return entry


def failing(message: str) -> dict[str, Any]:
    """Return the line of a record with an exception."""
    try:
        raise ValueError(message)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "bad", (), sys.exc_info())
    entry: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return entry


def test_line_has_time_level_logger_event_pid_and_worker() -> None:
    entry = line("listening on %s", 3000)

    assert entry["event"] == "listening on 3000"
    assert (entry["level"], entry["logger"]) == ("warning", "app.test")
    assert entry["time"].endswith("+00:00")
    assert set(entry) == {"time", "level", "logger", "event", "pid", "worker"}


def test_fields_become_keys() -> None:
    entry = line("request", extra={"status": 200, "route": "/health", "odd": {1}})

    assert (entry["status"], entry["route"], entry["odd"]) == (200, "/health", "{1}")


def test_line_of_a_request_carries_its_id() -> None:
    reset = context.set(Context("abc"))
    try:
        assert line("anything")["request_id"] == "abc"
    finally:
        context.reset(reset)


def test_line_outside_a_request_has_no_id() -> None:
    assert "request_id" not in line("anything")


def test_newlines_stay_inside_the_line() -> None:
    assert line("one\ntwo", extra={"text": "three\nfour"})["event"] == "one\ntwo"


def test_exception_is_one_field() -> None:
    entry = failing("broken")

    assert "ValueError: broken" in entry["exception"]
    assert "test_logging.py" in entry["exception"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token {TOKEN} refused", "token vbx_[redacted] refused"),
        ("vbx_rt_abc-DEF_0", "vbx_[redacted]"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer [redacted]"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic [redacted]"),
        ("postgresql://ada:pw@host/db", "postgresql://ada:[redacted]@host/db"),
        ("postgresql://:pw@host/db", "postgresql://:[redacted]@host/db"),
        ("postgresql://ada:p@w@host/db", "postgresql://ada:[redacted]@host/db"),
        ("postgresql://o'ada:pw@host/db", "postgresql://o'ada:[redacted]@host/db"),
        ("see http://a/b,redis://:pw@host", "see http://a/b,redis://:[redacted]@host"),
        (f"password={SECRET}", "password=[redacted]"),
        (f'{{"password": "{SECRET}", "a": 1}}', '{"password": "[redacted]", "a": 1}'),
        (f"{{'passwd': '{SECRET}'}}", "{'passwd': '[redacted]'}"),
        ('{"password": "correct horse battery"}', '{"password": "[redacted]"}'),
        ('{"password": "a, b & c}", "n": 1}', '{"password": "[redacted]", "n": 1}'),
        (f"?api_key={SECRET}&x=1", "?api_key=[redacted]&x=1"),
        (f"refresh_token: {SECRET}", "refresh_token: [redacted]"),
        (f"CLIENT_SECRET={SECRET}", "CLIENT_SECRET=[redacted]"),
        ("nothing to hide", "nothing to hide"),
        ("http://127.0.0.1:3000/health", "http://127.0.0.1:3000/health"),
        ("the token is unknown, expired or revoked", "the token is unknown, expired or revoked"),
    ],
)  # fmt: skip
def test_redaction(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize("text", ["://", "://a:", "://a:b@"])
def test_redaction_takes_as_long_as_the_text_is(text: str) -> None:
    def seconds(times: int) -> float:
        began = process_time()
        redact(text * times)
        return process_time() - began

    # 16 times as much: were each address read to the end of all, it would take 256 times as long.
    assert seconds(32_000) < 100 * max(0.001, seconds(2_000))


SECRETS = [TOKEN, f"Bearer {SECRET}", f"postgresql://ada:{SECRET}@host/db", f"password={SECRET}"]
HIDDEN = ["8Zk3", SECRET]


@pytest.mark.parametrize("text", SECRETS, ids=["token", "bearer", "url", "password"])
def test_secret_is_in_no_part_of_a_line(text: str) -> None:
    entries = [
        line(text),
        line("%s", text),
        line("x", extra={"why": text}),
        line("x", extra={"inner": {"deep": [text]}}),
        line("x", extra={"error": ValueError(text)}),
        failing(text),
    ]

    written = json.dumps(entries)

    assert not [secret for secret in HIDDEN if secret in written]


@pytest.mark.parametrize("key", ["password", "refresh_token", "client_secret", "Authorization"])
def test_field_that_is_called_like_a_secret_is_hidden(key: str) -> None:
    entry = line("x", extra={key: SECRET, "inner": {key: SECRET}})

    assert (entry[key], entry["inner"]) == ("[redacted]", {key: "[redacted]"})


def test_text_that_is_no_unicode_can_be_written() -> None:
    record = logging.makeLogRecord({"msg": "bad \ud800 text"})

    JsonFormatter().format(record).encode()


def test_gunicorn_writes_json_but_no_access_lines() -> None:
    loggers = config("debug")["loggers"]

    assert loggers["gunicorn.error"]["propagate"] is True
    assert loggers["gunicorn.access"] == {"handlers": [], "propagate": False}
    assert config("debug")["root"]["level"] == "DEBUG"
