"""GET /environments/{id}/logs: filters, order, and pages that stay stable."""

from typing import Any

import pytest
from flask_openapi3 import OpenAPI

from app.agent.log_intake.lines import Line, line_of
from app.domain.logs.cursors import Order, decode, encode
from app.storage import Database
from tests.agent.log_intake.support import portion, store
from tests.support.application import User, parts
from tests.support.checks import assert_problem

SECOND = 1_000_000_000
NOON = 1_769_860_800 * SECOND  # 2026-01-31T12:00:00Z


class Log:
    """An environment of `user`, to whose log lines can be added."""

    def __init__(self, user: User, database: Database) -> None:
        self.user = user
        self.environment = user.new_environment()
        self._database = database
        self._after: Any = {}

    def add(self, *texts: str, stream: str = "stdout", at_ns: int = NOON) -> None:
        self.add_lines([line_of(stream, at_ns, text.encode()) for text in texts])

    def add_lines(self, some: list[Line]) -> None:
        sent = portion(self.environment, some, self._after, self.environment)
        store(self._database, sent)
        self._after = sent.after

    def get(self, **query: Any) -> Any:
        response = self.user.get(self.path, query_string=query)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()

    def texts(self, **query: Any) -> list[str]:
        return [item["line"] for item in self.get(**query)["items"]]

    @property
    def path(self) -> str:
        return f"/api/v1/environments/{self.environment}/logs"


@pytest.fixture
def log(app: OpenAPI, user: User) -> Log:
    return Log(user, parts(app).database)


def test_lines_say_when_where_and_what(log: Log) -> None:
    log.add("listening", at_ns=NOON + 123_456_789)
    log.add("", stream="stderr", at_ns=NOON + SECOND)

    items = log.get()["items"]

    assert [set(item) for item in items] == [{"id", "at", "stream", "line"}] * 2
    assert [(item["at"], item["stream"], item["line"]) for item in items] == [
        ("2026-01-31T12:00:00.123456789Z", "stdout", "listening"),
        ("2026-01-31T12:00:01.000000000Z", "stderr", ""),
    ]


def test_empty_log_is_an_empty_page(log: Log) -> None:
    assert log.get() == {"items": [], "next_cursor": None, "end_cursor": None}


def test_streams_can_be_had_apart(log: Log) -> None:
    log.add("out")
    log.add("err", stream="stderr")
    assert log.texts(stream="stdout") == ["out"]
    assert log.texts(stream="stderr") == ["err"]


def test_since_is_inclusive_and_until_is_not(log: Log) -> None:
    for second in range(4):
        log.add(str(second), at_ns=NOON + second * SECOND)
    assert log.texts(since="2026-01-31T12:00:01Z", until="2026-01-31T12:00:03Z") == ["1", "2"]
    assert log.texts(since="2026-01-31T14:00:02.000001+02:00") == ["3"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ERROR", ["an Error here", "100% error"]),
        ("100%", ["100% error"]),
        ("%", ["100% error"]),
        ("a_b", ["a_b"]),
        ("\\", ["back\\slash"]),
        ("/", ["for/ward"]),
        ("nothing", []),
    ],
)
def test_search_takes_the_text_as_it_is_but_for_its_case(
    log: Log, search: str, found: list[str]
) -> None:
    log.add("an Error here", "100% error", "a_b", "aXb", "back\\slash", "for/ward")
    assert log.texts(search=search) == found


def test_pages_stay_stable_while_lines_arrive(log: Log) -> None:
    log.add(*map(str, range(5)))
    first = log.get(limit=2)
    log.add("5", "6")
    second = log.get(limit=2, cursor=first["next_cursor"])
    third = log.get(limit=2, cursor=second["next_cursor"])
    fourth = log.get(limit=2, cursor=third["next_cursor"])

    pages = [[item["line"] for item in page["items"]] for page in (first, second, third, fourth)]
    assert pages == [["0", "1"], ["2", "3"], ["4", "5"], ["6"]]
    assert fourth["next_cursor"] is None


def test_newest_first_goes_back_without_what_arrives(log: Log) -> None:
    log.add(*map(str, range(5)))
    first = log.get(limit=2, order="desc")
    log.add("5", "6")
    second = log.get(limit=2, order="desc", cursor=first["next_cursor"])
    third = log.get(limit=2, order="desc", cursor=second["next_cursor"])

    pages = [[item["line"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert third["next_cursor"] is None


def test_full_last_page_has_no_next_one(log: Log) -> None:
    log.add("a", "b")
    assert log.get(limit=2)["next_cursor"] is None


def test_end_cursor_leads_to_what_comes_later(log: Log) -> None:
    log.add("a")
    page = log.get()
    assert page["next_cursor"] is None
    again = log.get(cursor=page["end_cursor"])
    assert (again["items"], again["end_cursor"]) == ([], page["end_cursor"])
    log.add("b")
    assert log.texts(cursor=page["end_cursor"]) == ["b"]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=nonsense",
        "cursor=%C3%A9",
        "cursor=" + encode(Order.DESC, 1),
        "cursor=YXNjOi0x",  # asc:-1
        "cursor=YXNjOjE%3D%3D%3D%3D",
        "limit=1001",
        "stream=both",
        "order=random",
        "since=2026-01-31T12:00:00",
        "since=9999-12-31T12:00:00Z",
        "until=yesterday",
        "search=",
        "search=" + 201 * "x",
        "search=%00",
    ],
)
def test_bad_query_is_refused(log: Log, query: str) -> None:
    assert_problem(log.user.get(f"{log.path}?{query}"), 422, "invalid-input")


def test_cursor_survives_its_journey() -> None:
    for order in Order:
        for entry_id in (0, 1, 2**53, 10**17):
            assert decode(order, encode(order, entry_id)) == entry_id


def test_others_see_nothing(log: Log, stranger: User) -> None:
    log.add("secret")
    assert_problem(stranger.get(log.path), 404, "environment-not-found")


def test_logs_of_environments_are_apart(log: Log, user: User) -> None:
    log.add("mine")
    other = user.new_environment("other")
    assert user.get(f"/api/v1/environments/{other}/logs").get_json()["items"] == []
