"""Clients of every kind: what they may hold up, and what each is told."""

import json
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.backends.programs import wait_until
from tests.backends.web import Sample, WebServer
from tests.end_to_end import odd_release
from tests.end_to_end.api import Api
from tests.end_to_end.behaved import Behaved, Probes, percentile
from tests.end_to_end.without_manners import Attack
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(size(180, 900))]

WORKERS, THREADS = 2, 4
HEAD = STALL = 2
REQUESTS, ERRORS = "vibebox_http_requests_total", "vibebox_api_errors_total"
DURATIONS = "vibebox_http_request_duration_seconds_count"
CUT_OFF = "vibebox_clients_cut_off_total"
LIMIT = size(256, 1024)
"""Descriptors that a process of the service may open."""
CROWDS = {
    "silent": size(200, 800),
    "half_heads": size(150, 600),
    "half_bodies": size(100, 400),
    "unread": size(16, 40),
    "kept": size(150, 450),
    "garbage": size(8, 20),
}
SECONDS = size(5, 600)
# On a machine that does other things, and on a quiet one.
PROBES_P99, SCRAPES_P99 = size(3.0, 0.2), size(10.0, 1.0)
SERVED_A_SECOND = size(1, 5)


@contextmanager
def descriptors(number: int) -> Iterator[None]:
    """Have what is started meanwhile open so many files at most."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    directory = tmp_path_factory.mktemp("clients")
    settings = {
        "VIBEBOX_CLIENT_HEAD_TIMEOUT": str(HEAD),
        "VIBEBOX_CLIENT_STALL_TIMEOUT": str(STALL),
        "VIBEBOX_WEBSOCKETS": "4",
    }
    root = odd_release.make(directory)
    server = WebServer(directory, settings, workers=WORKERS, threads=THREADS, root=root)
    with descriptors(LIMIT):
        server.start()
    with server:
        yield server


@pytest.fixture(scope="module")
def api(server: WebServer) -> Iterator[Api]:
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        yield api


def say(server: WebServer, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send that, and return all that comes until the service hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        for piece in pieces:
            peer.sendall(piece)
            time.sleep(pause)
        answer = b""
        while data := peer.recv(65536):
            answer += data
    return answer


class Slowly:
    """Somebody who takes an answer bit by bit, to its end."""

    def __init__(self, port: int, path: str) -> None:
        self.got = 0
        self._asked = f"GET {path} HTTP/1.1\r\nConnection: close\r\n".encode() + HOST + b"\r\n"
        self._port = port
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> "Slowly":
        self._thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._thread.join()

    def _read(self) -> None:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            peer.settimeout(10)
            peer.connect(("127.0.0.1", self._port))
            peer.sendall(self._asked)
            while data := peer.recv(512 * 1024):
                self.got += len(data)
                time.sleep(0.01)


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def grown(server: WebServer, before: dict[Sample, float], name: str) -> Counter[tuple[str, ...]]:
    """Return what has been added to the series of a family since, by their label values."""
    found: Counter[tuple[str, ...]] = Counter()
    for (sample, labels), value in server.metrics().items():
        more = value - before.get((sample, labels), 0)
        of = dict(labels)
        if sample == name and more and of.get("route") != "/health/metrics":
            found[tuple(of[label] for label in sorted(of))] += int(more)
    return found


HOST = b"Host: 127.0.0.1\r\n"
JSON = HOST + b"Content-Type: application/json\r\n"
LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\n" + JSON
REFUSED = {
    "handshake of TLS": (b"\x16\x03\x01\x02\x00\x01", 400, "OTHER"),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400, "OTHER"),
    "no request": (b"hello there\r\n\r\n", 400, "OTHER"),
    "line feeds only": (b"GET / HTTP/1.1\nHost: x\n\n", 400, "OTHER"),
    "short method": (b"GE /x HTTP/1.1\r\n" + HOST + b"\r\n", 400, "OTHER"),
    "version": (b"GET /x?token=s HTTP/3.0\r\n" + HOST + b"\r\n", 505, "GET"),
    "header": (b"GET /x HTTP/1.1\r\n" + HOST + b"Bad Header: x\r\n\r\n", 400, "GET"),
    "folded header": (b"GET /x HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", 400, "GET"),
    "no host": (b"GET /health/live HTTP/1.1\r\n\r\n", 400, "GET"),
    "two hosts": (b"GET /x HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, "GET"),
    "long line": (b"GET /" + b"a" * 5000, 414, "OTHER"),
    "long header": (b"GET /x HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 9000 + b"\r\n\r\n", 431, "GET"),
    "endless head": (b"PUT /x HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 70_000, 431, "PUT"),
    "200 headers": (b"GET /x HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 200 + b"\r\n", 431, "GET"),
    "length and chunks": (
        LOGIN + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "POST",
    ),
    "no number": (LOGIN + b"Content-Length: five\r\n\r\n", 400, "POST"),
    "two lengths": (LOGIN + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "POST"),
    "unknown coding": (LOGIN + b"Transfer-Encoding: rot13, chunked\r\n\r\n", 501, "POST"),
    "expectation": (LOGIN + b"Expect: miracles\r\nContent-Length: 1\r\n\r\n1", 417, "POST"),
    "half a head": (b"GET /x HTTP/1.1\r\nHost:", 408, "GET"),
    "half a word": (b"GE", 408, "OTHER"),
    "half a body": (LOGIN + b"Content-Length: 100\r\n\r\n{", 408, "POST"),
    "half in chunks": (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", 408, "POST"),
}


def test_what_is_refused_is_a_problem_in_log_and_counts(
    server: WebServer, subtests: pytest.Subtests
) -> None:
    before, workers = server.metrics(), server.worker_pids()
    ids = {}
    with ThreadPoolExecutor(len(REFUSED)) as clients:
        answers = list(clients.map(lambda case: say(server, case[0]), REFUSED.values()))
    for (name, (_, status, method)), answer in zip(REFUSED.items(), answers, strict=True):
        with subtests.test(name):
            found, headers, body = parsed(answer)
            assert found == status
            assert headers["Content-Type"] == "application/problem+json"
            assert headers["Connection"] == "close"
            problem = json.loads(body)
            assert problem["status"] == status
            assert problem["request_id"] == headers["X-Request-ID"]
            assert problem["detail"] and problem["title"]
            ids[headers["X-Request-ID"]] = (status, method)
    expected = Counter((method, "unmatched", str(status)) for _, status, method in REFUSED.values())
    assert grown(server, before, REQUESTS) == grown(server, before, DURATIONS) == expected
    assert grown(server, before, ERRORS) == Counter(
        ("unmatched", str(status), "timeout" if status == 408 else "client_error")
        for _, status, _ in REFUSED.values()
    )
    lines = [line for line in server.log_lines() if line.get("request_id") in ids]
    assert Counter(line["request_id"] for line in lines) == Counter(list(ids))
    for line in lines:
        assert line["event"] == "request" and line["route"] == "unmatched"
        assert "token" not in line["path"]
    assert server.worker_pids() == workers
    assert grown(server, before, CUT_OFF) == {("head",): 2, ("body",): 2}


def test_a_bad_body_is_the_clients_mistake(server: WebServer) -> None:
    """It is found while the route reads it: told by the route, and not twice."""
    before = server.metrics()
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    for sent in (LOGIN + chunked + b"zz\r\n", LOGIN + chunked + b"2\r\n{}xx0\r\n\r\n"):
        answer = say(server, sent + b"GET /never HTTP/1.1\r\n\r\n")
        assert answer.count(b"HTTP/1.1 ") == 1
        status, _, body = parsed(answer)
        assert (status, json.loads(body)["type"]) == (400, "urn:vibebox:problem:malformed-request")
    # A route that does not read its body: the answer stands, and nothing follows it.
    answer = say(server, b"GET /health HTTP/1.1\r\n" + HOST + chunked + b"zz\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1 and answer.startswith(b"HTTP/1.1 200 ")
    assert grown(server, before, ERRORS) == {
        ("/api/v1/auth/login", "400", "client_error"): 2,
    }


def test_a_stream_that_fails_is_counted_as_it_was_sent(server: WebServer) -> None:
    before = server.metrics()
    answers = {
        path: say(server, f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
        for path in ("/failing/0", "/failing/1", "/bad-header")
    }
    status, headers, body = parsed(answers["/failing/0"])
    assert status == 500 and json.loads(body)["request_id"] == headers["X-Request-ID"]
    assert parsed(answers["/bad-header"])[0] == 500
    status, _, body = parsed(answers["/failing/1"])
    assert status == 200 and not body.endswith(b"0\r\n\r\n"), "whoever reads it sees that it is cut"
    assert all(answer.count(b"HTTP/1.1 ") == 1 for answer in answers.values())
    assert grown(server, before, REQUESTS) == {
        ("GET", "/failing/<int:after>", "500"): 1,
        ("GET", "/failing/<int:after>", "200"): 1,
        ("GET", "/bad-header", "500"): 1,
    }
    assert grown(server, before, ERRORS) == {
        ("/failing/<int:after>", "500", "unhandled_exception"): 1,
        ("/bad-header", "500", "unhandled_exception"): 1,
    }
    (line,) = [
        line for line in server.log_lines() if line.get("request_id") == headers["X-Request-ID"]
    ]
    assert line["status"] == 500


def test_a_slow_client_costs_no_thread_and_no_latency(server: WebServer) -> None:
    """Pieces with pauses between them, and an answer that is taken bit by bit."""
    before = server.metrics()
    body = b'{"email": "nobody@example.org"}'
    head = LOGIN + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    with Slowly(server.port, "/large/18") as reader:
        wait_until(lambda: server.metric("vibebox_client_connections", state="sending") == 1, 5)
        wait_until(lambda: server.metric("vibebox_worker_threads", state="busy") == 0, 5)
        assert parsed(say(server, head[:20], head[20:], body[:5], body[5:], pause=0.3))[0] == 422
    assert reader.got > 18 << 20
    wait = "vibebox_http_client_wait_seconds"
    assert grown(server, before, f"{wait}_count") >= Counter({("receive",): 1, ("send",): 1})
    after = server.metrics()

    def seconds(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after[key] - before.get(key, 0)

    assert seconds(f"{wait}_sum", phase="receive") >= 0.6
    assert seconds(f"{wait}_sum", phase="send") >= 1
    took = "vibebox_http_request_duration_seconds_sum"
    large = {"method": "GET", "route": "/large/<int:mib>", "status_code": "200"}
    assert seconds(took, **large) < 0.5
    login = {"method": "POST", "route": "/api/v1/auth/login", "status_code": "422"}
    assert seconds(took, **login) < 0.5


STATES = ("idle", "receiving", "queued", "serving", "sending", "closing")


def states(server: WebServer) -> dict[str, int]:
    """Return how many client connections do what."""
    return {
        dict(labels)["state"]: int(value)
        for (name, labels), value in server.metrics().items()
        if name == "vibebox_client_connections"
    }


def shows(server: WebServer, **wanted: int) -> bool:
    """Tell whether so many do that; a scrape's own connection may be seen too."""
    found = states(server)
    return all(number <= found[state] <= number + 1 for state, number in wanted.items())


@pytest.fixture
def settled(server: WebServer) -> Iterator[None]:
    """Leave nothing to the next test that it would count."""
    wait_until(lambda: shows(server, **dict.fromkeys(STATES, 0)), 10)
    yield
    wait_until(lambda: shows(server, **dict.fromkeys(STATES, 0)), 10)


@pytest.mark.usefixtures("settled")
def test_connections_are_counted_by_what_they_do(server: WebServer) -> None:
    held = WORKERS * THREADS
    wanted = {
        "idle": 3,
        "receiving": 3,
        "queued": 4,
        "serving": held,
        "sending": 3,
        "closing": 3,
    }

    def seen() -> bool:
        """Make a crowd, and look while it lasts: a busy machine may be too late for one."""
        with ExitStack() as stack:

            def connect(said: bytes) -> None:
                peer = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
                peer.sendall(said)

            for _ in range(3):
                connect(b"")
            for _ in range(3):
                connect(b"GET /large/8 HTTP/1.1\r\n" + HOST + b"\r\n")
            for _ in range(3):
                connect(b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
            for _ in range(3):
                connect(b"POST /health HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\n")
            for _ in range(held + 4):
                connect(b"GET /sleep/1500 HTTP/1.1\r\n" + HOST + b"\r\n")
            end = time.monotonic() + STALL
            while time.monotonic() < end:
                if shows(server, **wanted):
                    return True
                time.sleep(0.05)
        print(states(server))
        wait_until(lambda: shows(server, **dict.fromkeys(STATES, 0)), 10)
        return False

    wait_until(seen, 40)
    limit = server.metric("vibebox_client_connections_limit")
    assert WORKERS * THREADS < limit < WORKERS * LIMIT, "some descriptors are for other things"
    lines = server.log_lines()
    assert [line for line in lines if line.get("event") == "few file descriptors"]


def test_a_large_upload_may_be_slow_but_not_stop(server: WebServer, api: Api) -> None:
    environment = api.create("one", "busybox:1")
    bearer = f"Authorization: Bearer {api.tokens['access_token']}\r\n".encode()
    path = f"/api/v1/environments/{environment}/extensions/upload".encode()
    head = (
        b"POST "
        + path
        + b" HTTP/1.1\r\nConnection: close\r\n"
        + HOST
        + bearer
        + b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"
    )
    whole = 2 << 20
    before = server.metrics()

    slow = [head % whole, *[bytes(whole // 5)] * 5, bytes(whole - whole // 5 * 5)]
    status, _, body = parsed(say(server, *slow, pause=0.3))
    assert status == 422, body  # it is no package

    stopped = say(server, head % whole, bytes(whole // 2))
    status, _, body = parsed(stopped)
    assert (status, json.loads(body)["type"]) == (408, "urn:vibebox:problem:request-timeout")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        peer.sendall(head % whole + bytes(whole // 2))
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(65536).startswith(b"HTTP/1.1 400 ")

    route = "/api/v1/environments/<environment_id>/extensions/upload"
    assert grown(server, before, REQUESTS) == {
        ("POST", route, "422"): 1,
        ("POST", route, "408"): 1,
        ("POST", route, "400"): 1,
    }
    took = [
        value - before.get((sample, labels), 0)
        for (sample, labels), value in server.metrics().items()
        if sample == "vibebox_http_request_duration_seconds_sum" and ("route", route) in labels
    ]
    assert sum(took) < 0.5 * STALL, "time that the clients took"
    assert grown(server, before, CUT_OFF) == {("body",): 1}


def test_slow_uploads_end_with_their_login_and_hold_up_nobody(server: WebServer) -> None:
    """Six uploads of two accounts that drip: few are admitted, and none outlives its login."""
    stopped = threading.Event()
    peers: list[socket.socket] = []

    def drip(peer: socket.socket) -> None:
        try:
            while not stopped.wait(0.3):
                peer.sendall(bytes(1500))
        except OSError:
            return  # it has been ended

    with ExitStack() as stack:
        stack.callback(stopped.set)
        slow, other = ([stack.enter_context(Api(server.url)) for _ in range(2)] for _ in "ab")
        for number, api in enumerate((*slow, *other)):
            api.register(f"u{number}@example.org")
            api.login(f"u{number}@example.org")
        for api in slow:
            path = f"/api/v1/environments/{api.create('one', 'busybox:1')}/extensions/upload"
            head = (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {api.tokens['access_token']}\r\n"
                "Content-Type: application/octet-stream\r\nContent-Length: 30000000\r\n\r\n"
            )
            for _ in range(3):
                peer = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                peer.sendall(head.encode())
                peer.settimeout(5)
                peers.append(peer)
                threading.Thread(target=drip, args=(peer,), daemon=True).start()
        time.sleep(1)
        box = other[0].create("one", "busybox:1")
        small = other[0].call("POST", f"/environments/{box}/extensions/upload", b"none")
        assert small.status_code == 422, small.text
        begun = time.monotonic()
        for api in slow:
            assert api.call("POST", "/auth/logout").ok
        answers = Counter(_to_the_end(peer)[9:12] for peer in peers)
        assert time.monotonic() - begun < 5
        assert answers[b"401"] >= 1, "it was admitted, and has ended"
        assert set(answers) <= {b"401", b"429", b"503"}
        box = other[1].create("one", "busybox:1")
        large = other[1].call("POST", f"/environments/{box}/extensions/upload", bytes(2 << 20))
        assert large.status_code == 422, large.text


def _to_the_end(peer: socket.socket) -> bytes:
    told = b""
    try:
        while data := peer.recv(65536):
            told += data
    except ConnectionError:
        pass  # it sent on after the answer
    return told


def test_probes_and_who_behaves_are_answered_whatever_others_do(
    server: WebServer, api: Api
) -> None:
    before, workers, logged = server.metrics(), server.worker_pids(), len(server.log_lines())
    token = api.tokens["access_token"]
    with Probes(server) as alone, Behaved(server, token):
        time.sleep(1)
    with Attack(server.port, CROWDS, "/large/4") as attack:
        time.sleep(1)
        with Probes(server) as probes, Behaved(server, token) as behaved:
            time.sleep(SECONDS)
        busy = states(server)
        wait_until(
            lambda: {reason for (reason,) in grown(server, before, CUT_OFF)} >= {"answer", "room"},
            30,
            otherwise=lambda: f"cut off: {grown(server, before, CUT_OFF)}",
        )
        attacked = attack.end()

    print(f"attackers: {attacked}; at the end: {busy}")
    for path in Probes.PATHS:
        among = probes.seconds[path]
        print(
            f"{path}: {len(among)} times, p50 {percentile(among, 0.5) * 1000:.1f} ms, "
            f"p99 {percentile(among, 0.99) * 1000:.1f} ms "
            f"(alone: {percentile(alone.seconds[path], 0.99) * 1000:.1f} ms)"
        )
    p99 = percentile(behaved.seconds, 0.99)
    print(f"who behaves: {behaved.outcomes}, p99 {p99 * 1000:.1f} ms")
    assert probes.failed == []
    assert set(behaved.outcomes) == {"GET 200", "POST 422"}
    assert sum(behaved.outcomes.values()) > SERVED_A_SECOND * SECONDS
    for path in Probes.PATHS[:-1]:
        assert percentile(probes.seconds[path], 0.99) < PROBES_P99, path
    assert percentile(probes.seconds["/health/metrics"], 0.99) < SCRAPES_P99
    assert server.worker_pids() == workers, "no worker has ended"
    lines = server.log_lines()[logged:]
    assert not [line for line in lines if line.get("level") in ("error", "critical")]
    assert grown(server, before, "vibebox_metrics_collect_errors_total") == Counter()
    print(f"cut off: {grown(server, before, CUT_OFF)}")
    failed = {key: n for key, n in grown(server, before, ERRORS).items() if key[1] >= "500"}
    assert {key[:2] for key in failed} <= {("unmatched", "505"), ("/health/ready", "503")}
    wait_until(lambda: server.metric("vibebox_worker_threads", state="busy") == 0, 60)
