"""Random requests, and a program that puts many of them to the application in its own process.

`python -m tests.end_to_end.random_inputs SEED TIMES` prints as JSON what they did to the scrape.
"""

import io
import json
import random
import re
import string
import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from tests.end_to_end.families.coverage import STATEMENTS
from tests.support.routes import CONSOLE
from tests.support.routes import ROUTES as API

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")
# Every route but the scrape, which takes the time of a hundred others.
ROUTES = (
    *(
        re.sub("<.*?>", "{}", rule)
        for rule in dict.fromkeys(route.rule for route in (*API, *CONSOLE))
        if rule != "/health/metrics"
    ),
    "/openapi/{}",
    "/openapi/swagger/{}",
)
# Who did these would be logged in no longer.
LOGOUTS = ("/api/v1/auth/logout", "/console/sign-out")
USERS, ENVIRONMENTS = 20, 50
PASSWORD = "correct horse battery"


def word(chance: random.Random, longest: int = 24) -> str:
    """Return printable characters, quoted for a path."""
    raw = chance.randbytes(chance.randint(1, longest))
    return quote_from_bytes(raw, safe="")


def method(chance: random.Random) -> str:
    """Return one that exists, or one made up, of a length that gunicorn takes."""
    if chance.random() < 0.7:
        return chance.choice(METHODS)
    return "".join(chance.choices(string.ascii_uppercase + "-_", k=chance.randint(3, 12)))


def path(chance: random.Random) -> str:
    """Return a random path: beside all routes, or with random parts and query in one of them."""
    if chance.random() < 0.4:
        return "/" + "/".join(word(chance) for _ in range(chance.randint(1, 4)))
    found = chance.choice(ROUTES).format(word(chance), word(chance))
    return f"{found}?{word(chance)}={word(chance)}" if chance.random() < 0.3 else found


def value(chance: random.Random) -> Any:
    """Return a random JSON value, mostly text."""
    text = "".join(chr(chance.randrange(32, 0x2FF)) for _ in range(chance.randint(0, 30)))
    return chance.choice([text, text, text, chance.random(), None, [text], {text: text}])


def body(chance: random.Random) -> bytes:
    """Return a body for any route: of the right members with random values, or no JSON at all."""
    if chance.random() < 0.1:
        return chance.randbytes(40)
    members = ("email", "password", "refresh_token", "name", "image", "env", "ports")
    return json.dumps({name: value(chance) for name in members if chance.random() < 0.5}).encode()


def every_kind() -> Iterator[tuple[str, str, bytes]]:
    """Return method, path and body of each route asked in each way."""
    for route, verb, content in product(ROUTES, (*METHODS, "BREW"), (b"", b"{", b"{}")):
        yield verb, route.format("x", "y"), content
        if "{}" in route:  # what no identifier can be
            yield verb, route.format("%00", "%00"), content


Call = Callable[..., tuple[int, bytes]]


def caller(app: Any) -> Call:
    """Return what sends a request to a WSGI application, as a server would."""

    def call(
        verb: str, target: str, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        raw, _, query = target.partition("?")
        statuses: list[str] = []
        environ = {
            "REQUEST_METHOD": verb,
            "PATH_INFO": unquote_to_bytes(raw).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "test",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(content)),
            "wsgi.input": io.BytesIO(content),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
            **(headers or {}),
        }
        answer = app(environ, lambda status, *_rest: statuses.append(status))
        try:
            sent = b"".join(answer)
        finally:
            answer.close()
        return int(statuses[-1].split()[0]), sent

    return call


class Run:
    """The application, the scrape of it, and an account of each kind of caller."""

    def __init__(self, chance: random.Random) -> None:
        from app import create_app

        app = create_app()
        self.components = app.extensions["vibebox"]
        self.call = caller(app)
        self._chance = chance
        self._bearer: dict[str, str] = {}

    def scrape(self) -> list[str]:
        """Return the lines of a scrape."""
        text, _ = self.components.telemetry.exposition.render("")
        return [line for line in text.decode().splitlines() if line]

    def random_requests(self, times: int) -> None:
        """Send as many; one in three as somebody who is logged in, one in twenty with a body."""
        chance = self._chance
        for _ in range(times):
            content = body(chance) if chance.random() < 0.05 else b""
            target = path(chance)
            logged_in = chance.random() < 0.33 and not target.startswith(LOGOUTS)
            self.call(method(chance), target, content, self._bearer if logged_in else {})

    def every_request(self) -> None:
        """Send each kind of request, by nobody and by somebody who is logged in."""
        for verb, target, content in every_kind():
            self.call(verb, target, content)
            if target not in LOGOUTS:
                self.call(verb, target, content, self._bearer)

    def populate(self, users: int, environments: int) -> None:
        """Create accounts, log them in, and give the last one environments."""
        for _ in range(users):
            account = {"email": f"u{self._chance.getrandbits(64)}@example.org"}
            content = json.dumps({**account, "password": PASSWORD}).encode()
            assert self.call("POST", "/api/v1/auth/register", content)[0] == 201
            status, answer = self.call("POST", "/api/v1/auth/login", content)
            assert status == 200
            self._bearer = {"HTTP_AUTHORIZATION": f"Bearer {json.loads(answer)['access_token']}"}
        for _ in range(environments):
            environment = {"name": f"e{self._chance.getrandbits(64)}", "image": "x"}
            content = json.dumps(environment).encode()
            created = self.call("POST", "/api/v1/environments", content, self._bearer)
            assert created[0] == 201


def answer_everything_once() -> None:
    """Create the histograms of all answers that routes document, and of all statements there are.

    The counters of the answers are there already.
    """
    # Imported when the directory is known to the metrics client, as the application is.
    from app.metrics.catalogue import DATABASE, REQUESTS

    for method, route, status in list(REQUESTS.requests._children):
        if status != "101":  # a handshake is not timed
            REQUESTS.duration.child(method, route, status)
    for model, operations in STATEMENTS.items():
        DATABASE.statement_duration.create(operations, [model])


def series(lines: list[str]) -> set[str]:
    """Return name and labels of each sample."""
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def main(seed: int, times: int) -> dict[str, Any]:
    """Warm up, send `times` requests, and return what that came to."""
    run = Run(random.Random(seed))
    run.populate(1, 1)
    run.every_request()
    run.random_requests(times // 10)
    used = run.scrape()
    answer_everything_once()
    before = run.scrape()
    run.random_requests(times)
    after = run.scrape()
    run.populate(USERS, ENVIRONMENTS)
    populated = run.scrape()
    run.components.close()
    return {
        "new": sorted(series(after) ^ series(before)),
        "lines": [len(used), len(before), len(after), len(populated)],
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
