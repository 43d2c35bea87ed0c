"""The request id, and the one log line of a request."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app.core.context import NOTHING, context
from app.core.logging import JsonFormatter

GOOD = "client-chosen_1.2"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in log.records if record.name == "app.access"]


def test_well_formed_id_is_honoured(client: FlaskClient) -> None:
    for offered in (GOOD, "a", "A" * 128):
        response = client.get("/health", headers={"X-Request-ID": offered})

        assert response.headers["X-Request-ID"] == offered


def test_malformed_id_is_replaced(client: FlaskClient, subtests: pytest.Subtests) -> None:
    for offered in ("", "A" * 129, "a b", "a;b", "<script>", 'quote"s', "caf\xe9", "a/b"):
        with subtests.test(offered[:20]):
            response = client.get("/health", headers={"X-Request-ID": offered})

            assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])


def test_each_request_without_an_id_gets_its_own(client: FlaskClient) -> None:
    ids = {client.get("/health").headers["X-Request-ID"] for _ in range(5)}

    assert len(ids) == 5


def test_each_request_has_one_line(
    client: FlaskClient, log: pytest.LogCaptureFixture, subtests: pytest.Subtests
) -> None:
    for method, path, status, route in (
        ("GET", "/api/v1/auth/me", 401, "/api/v1/auth/me"),
        ("GET", "/nowhere", 404, "unmatched"),
        ("PUT", "/api/v1/auth/me", 405, "unmatched"),
        ("GET", "/openapi/openapi.json", 200, "/openapi/openapi.json"),
        ("POST", "/api/v1/auth/login", 422, "/api/v1/auth/login"),
    ):
        with subtests.test(f"{method} {path}"):
            log.clear()
            client.open(path, method=method)

            (line,) = lines(log)
            shown = json.loads(JsonFormatter().format(line))
            assert shown["event"] == "request"
            assert (shown["method"], shown["path"], shown["status"]) == (method, path, status)
            assert shown["route"] == route
            assert 0 < shown["duration_ms"] < 5000


def test_probes_have_no_line_at_info(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/health/metrics"):
        client.get(path)

    assert lines(log) == []


def test_probes_have_a_line_at_debug(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.DEBUG)
    client.get("/health")

    assert [line.levelname for line in lines(log)] == ["DEBUG"]


def test_unknown_path_that_looks_like_a_probe_has_a_line(
    client: FlaskClient, log: pytest.LogCaptureFixture
) -> None:
    client.get("/health/nothing")

    assert len(lines(log)) == 1


def test_query_string_is_never_logged(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.DEBUG)
    for path in ("/health", "/nowhere", "/api/v1/auth/me"):
        client.get(f"{path}?access=s3cr3t-query")

    written = "".join(JsonFormatter().format(record) for record in log.records)
    assert len(lines(log)) == 3
    assert "s3cr3t-query" not in written


def test_path_is_cut(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    client.get("/" + "x" * 5000)

    (line,) = lines(log)
    assert len(vars(line)["path"]) == 200


@pytest.mark.parametrize("length", [150, 250, 5000])
def test_a_secret_is_taken_out_before_the_path_is_cut(
    client: FlaskClient, log: pytest.LogCaptureFixture, length: int
) -> None:
    """Else it stays where its end, by which it is told, is behind the cut."""
    client.get(f"/http://user:{'s' * length}@host/" + "x" * 5000)

    (line,) = lines(log)
    assert vars(line)["path"].startswith("/http://user:[redacted]@")
    assert len(vars(line)["path"]) <= 200


def test_id_is_gone_when_the_request_is_over(client: FlaskClient) -> None:
    client.get("/health", headers={"X-Request-ID": GOOD})

    assert context.get() is NOTHING


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def written(log: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """The access log as it is written, formatted within the request."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("app.access")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def traces(written: io.StringIO) -> list[str | None]:
    return [json.loads(line).get("trace_id") for line in written.getvalue().splitlines()]


def test_trace_of_the_caller_stands_in_the_line(client: FlaskClient, written: io.StringIO) -> None:
    parents = (PARENT, f"cc-{TRACE}-00f067aa0ba902b7-00", f"01-{TRACE}-00f067aa0ba902b7-00-x")
    for parent in parents:
        client.get("/nowhere", headers={"traceparent": parent})
    client.get("/nowhere")

    # The last one came without a trace, and got none of those before.
    assert traces(written) == [TRACE] * len(parents) + [None]


def test_invalid_trace_is_none(client: FlaskClient, written: io.StringIO) -> None:
    parents = (
        TRACE,
        PARENT.upper(),
        f"ff{PARENT[2:]}",
        f"{PARENT}-more",
        f"01{PARENT[2:]}more",
        PARENT.replace(TRACE, "0" * 32),
        PARENT.replace("00f067aa0ba902b7", "0" * 16),
        f"{PARENT}x",
    )
    for parent in parents:
        client.get("/nowhere", headers={"traceparent": parent})

    assert traces(written) == [None] * len(parents)
