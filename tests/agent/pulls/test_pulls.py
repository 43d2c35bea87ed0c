"""Starts that wait for their image: what the request answers, and what the agent makes of it."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update

from app.agent.pulls import reports, turns
from app.agent.pulls.build import build_pulls
from app.agent.pulls.pulls import Pulls
from app.core.errors import ImagePullError, Limit, PortTakenError, PullCutError, ServerBusyError
from app.core.places import Places
from app.domain.authorization import Access, Action, Identity
from app.engine import Cut, LayerProgress, PullProgress
from app.engine.pulling import PullTracker
from app.storage import Environment, ImagePull, PullStatus, utc_now
from app.web.admission.admission import Kind
from app.web.streams import events
from app.web.streams.waiting import recalled
from tests.support.application import User, parts
from tests.support.checks import assert_problem, moved
from tests.support.fakes import Failure, FakeEngine
from tests.web.api.test_environments import body, one

REFUSALS = "vibebox_limit_refusals_total"
DURATIONS = "vibebox_environment_start_duration_seconds_count"
REMOTE = "remote:1"


@pytest.fixture
def agent(app: OpenAPI, engine: FakeEngine) -> Iterator[Pulls]:
    """What the leading agent drives."""
    whole = parts(app)
    pulls = build_pulls(whole.settings, whole.database, whole.engine, whole.heartbeat)
    yield pulls
    pulls.close()


@pytest.fixture
def waiting(user: User, engine: FakeEngine) -> str:
    """An environment whose start waits for its image."""
    engine.registry.add(REMOTE)
    identity = user.new_environment("waiting", image=REMOTE)
    assert user.post(one(identity, "start")).status_code == 202
    return identity


def drive(agent: Pulls) -> None:
    """Do what is pending, to its end."""
    agent.run_pending()
    for thread in agent._threads:
        thread.join(10)


def rows(app: OpenAPI) -> list[ImagePull]:
    with parts(app).database.reading() as session:
        found = list(session.scalars(select(ImagePull)))
        session.expunge_all()
    return found


def seen(user: User, identity: str) -> tuple[str, str | None]:
    found = body(user.get(one(identity)))
    return found["status"], found["error"]


def until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_missing_image_is_left_to_the_agent(
    app: OpenAPI, user: User, engine: FakeEngine, waiting: str
) -> None:
    response = user.get(one(waiting))

    shown = body(response)
    assert shown["status"] == "starting"
    assert shown["pull_progress"] == {"percent": 0.0, "bytes_done": 0, "bytes_total": 0}
    assert [(row.status, row.image) for row in rows(app)] == [("pending", REMOTE)]
    assert "pull" not in engine.calls
    listed = body(user.get("/api/v1/environments"))["items"]
    assert [item["pull_progress"] for item in listed] == [shown["pull_progress"]]


def test_answer_says_where_to_look(user: User) -> None:
    identity = user.new_environment(image=REMOTE)

    response = user.post(one(identity, "start"))

    assert response.status_code == 202
    assert response.headers["Location"] == one(identity)
    assert body(response)["events_url"] == one(identity, "events")
    assert user.get(body(response)["events_url"] + "?follow=maybe").status_code == 422


def test_agent_pulls_and_goes_on_with_the_start(
    app: OpenAPI, user: User, engine: FakeEngine, waiting: str, agent: Pulls
) -> None:
    with moved(DURATIONS) as starts:
        drive(agent)

    shown = body(user.get(one(waiting)))
    assert (shown["status"], shown["error"], shown["pull_progress"]) == ("running", None, None)
    assert engine.only().status == "running"
    (row,) = rows(app)
    assert (row.status, row.error, row.bytes_done, row.percent) == ("done", None, 10, 100.0)
    assert starts == {("success",): 1}


def test_failed_pull_is_an_error_with_a_sentence(app: OpenAPI, user: User, agent: Pulls) -> None:
    identity = user.new_environment(image="no-such:1")
    with moved(DURATIONS) as starts:
        user.post(one(identity, "start"))
        drive(agent)

    status, error = seen(user, identity)
    assert status == "error"
    assert error == ImagePullError("no-such:1").detail
    assert [(row.status, row.error) for row in rows(app)] == [("failed", "image-pull-failed")]
    assert starts == {("user_error",): 1}


@pytest.mark.parametrize(
    ("method", "failure", "slug", "outcome"),
    [
        ("pull", Failure.UNREACHABLE, "engine-unreachable", "failure"),
        ("pull", Failure.TIMED_OUT, "engine-timeout", "failure"),
        ("pull", Failure.BUG, "internal-error", "failure"),
        ("start", Failure.PORT_TAKEN, "port-taken", "user_error"),
        ("start", Failure.UNREACHABLE, "engine-unreachable", "failure"),
        ("create", Failure.FAULTY, "engine-failure", "failure"),
    ],
)
def test_whatever_fails_ends_the_start(
    app: OpenAPI,
    user: User,
    engine: FakeEngine,
    waiting: str,
    agent: Pulls,
    method: str,
    failure: Failure,
    slug: str,
    outcome: str,
) -> None:
    engine.failures[method] = failure
    with moved(DURATIONS) as starts:
        drive(agent)

    status, error = seen(user, waiting)
    assert (status, bool(error)) == ("error", True)
    assert "secret-bug-text" not in str(error)
    (row,) = rows(app)
    assert (row.status, row.error) == ("failed" if method == "pull" else "done", slug)
    assert starts == {(outcome,): 1}
    engine.failures.clear()
    assert user.post(one(waiting, "start")).status_code in (200, 202)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("toomanyrequests: slow down", "INFO"),
        ("received unexpected HTTP status: 200 <html>", "WARNING"),
        ("failed to register layer: write /x: no space left on device", "WARNING"),
    ],
)
def test_reason_of_a_failed_pull_is_in_the_operator_s_log(
    user: User,
    engine: FakeEngine,
    waiting: str,
    agent: Pulls,
    text: str,
    level: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The record of the environment says so, and the text itself may hold what is not for users."""

    def fail(_progress: object) -> None:
        PullTracker("img").take({"error": text})

    caplog.set_level(logging.INFO)
    engine.registry.add(REMOTE)
    engine.during_pull = fail
    drive(agent)

    status, error = seen(user, waiting)
    assert status == "error" and text not in str(error)
    (line,) = [record for record in caplog.records if record.message == "pulled start failed"]
    assert line.levelname == level
    assert line.why == text  # type: ignore[attr-defined]


def test_wait_returns_the_end_of_the_start(user: User, engine: FakeEngine, agent: Pulls) -> None:
    engine.registry.add(REMOTE)
    identity = user.new_environment(image=REMOTE)

    assert answer_while_driving(user, identity, agent)[0] == 200


def test_wait_raises_the_problem_of_the_start(user: User, engine: FakeEngine, agent: Pulls) -> None:
    identity = user.new_environment(image="no-such:1")

    assert answer_while_driving(user, identity, agent) == (422, "image-pull-failed")


def answer_while_driving(user: User, identity: str, agent: Pulls) -> tuple[int, str]:
    """Return status and slug of a start that waits while an agent works beside it."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            agent.run_pending()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        response = user.post(one(identity, "start") + "?wait=10")
    finally:
        stop.set()
        thread.join(10)
    return response.status_code, response.get_json(force=True).get("type", "").rpartition(":")[2]


def test_wait_without_an_agent_ends_in_a_202(user: User) -> None:
    identity = user.new_environment(image=REMOTE)

    response = user.post(one(identity, "start") + "?wait=0.6")

    assert (response.status_code, body(response)["status"]) == (202, "starting")


@pytest.mark.parametrize(
    ("own", "asked", "held", "status"),
    [
        ("missing", None, True, 200),
        ("missing", None, False, 202),
        ("never", None, False, 422),
        ("never", "missing", False, 202),
        ("always", None, True, 202),
        ("always", "never", True, 200),
        ("missing", "always", True, 202),
    ],
)
def test_policy_decides_when_to_pull(
    user: User, engine: FakeEngine, own: str, asked: str | None, held: bool, status: int
) -> None:
    if held:
        engine.images.add(REMOTE)
    identity = user.new_environment(image=REMOTE, pull=own)
    options = {"json": {"pull": asked} if asked else {}}

    assert user.post(one(identity, "start"), **options).status_code == status
    assert body(user.get(one(identity)))["pull"] == own


def test_start_without_docker_is_refused_before_anything_waits(
    app: OpenAPI, user: User, engine: FakeEngine
) -> None:
    identity = user.new_environment(image=REMOTE, pull="always")
    engine.failures["*"] = Failure.UNREACHABLE

    assert_problem(user.post(one(identity, "start")), 503, "engine-unreachable")
    assert (seen(user, identity), rows(app)) == (("stopped", None), [])


def test_another_image_makes_another_container(
    user: User, engine: FakeEngine, agent: Pulls
) -> None:
    engine.images.add(REMOTE)
    engine.registry.add(REMOTE)
    identity = user.new_environment(image=REMOTE)
    made: list[str] = []
    for version in ("first", "first", "second"):
        engine.during_pull = lambda _, version=version: engine.image_ids.update({REMOTE: version})
        user.post(one(identity, "start"), json={"pull": "always"})
        drive(agent)
        assert seen(user, identity) == ("running", None)
        made += engine.containers
        user.post(one(identity, "stop"))

    assert made[0] == made[1] != made[2]
    assert engine.volumes.keys() == {f"vibebox-{identity}"}


def test_stop_ends_the_wait(app: OpenAPI, user: User, waiting: str, agent: Pulls) -> None:
    assert body(user.post(one(waiting, "stop")))["status"] == "stopped"

    drive(agent)

    assert seen(user, waiting) == ("stopped", None)
    assert [(row.status, row.error) for row in rows(app)] == [("failed", "cancelled")]


def test_stop_in_the_middle_of_a_pull(
    app: OpenAPI,
    user: User,
    engine: FakeEngine,
    waiting: str,
    agent: Pulls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reports, "_WRITE_SECONDS", 0)
    layer = LayerProgress("1", "Downloading", 1, 4)
    pulling, stopped = threading.Event(), threading.Event()

    def pull(progress: Callable[[PullProgress], None]) -> None:
        progress(PullProgress((layer,), 1, 4))
        pulling.set()
        assert stopped.wait(10)
        progress(PullProgress((layer,), 2, 4))

    engine.during_pull = pull
    with moved(DURATIONS) as starts:
        agent.run_pending()
        assert pulling.wait(10)
        assert body(user.get(one(waiting)))["pull_progress"]["percent"] == 25.0
        assert body(user.post(one(waiting, "stop")))["status"] == "stopped"
        stopped.set()
        drive(agent)

    assert seen(user, waiting) == ("stopped", None)
    assert engine.containers == {}
    (row,) = rows(app)
    assert (row.error, row.bytes_done) == ("cancelled", 1)
    assert starts == {}  # neither Docker's failure nor an error: it was wished so


def test_start_under_way_cannot_be_stopped(
    app: OpenAPI, user: User, engine: FakeEngine, waiting: str, agent: Pulls
) -> None:
    engine.gate = threading.Event()
    agent.run_pending()
    assert engine.started.wait(10)

    assert_problem(user.post(one(waiting, "stop")), 409, "environment-conflict")

    engine.gate.set()
    drive(agent)
    assert seen(user, waiting) == ("running", None)


def test_pull_of_a_dead_agent_is_taken_up_again(
    app: OpenAPI, user: User, waiting: str, agent: Pulls
) -> None:
    with parts(app).database.writing() as session:
        session.execute(update(Environment).values(held_by="a-process-that-died"))
        since = utc_now() - timedelta(hours=1)
        session.execute(update(ImagePull).values(status=PullStatus.PULLING, started_at=since))

    drive(agent)

    assert seen(user, waiting) == ("running", None)


def test_pull_of_a_living_agent_is_left_alone(
    app: OpenAPI, user: User, engine: FakeEngine, waiting: str, agent: Pulls
) -> None:
    with parts(app).database.writing() as session:
        holder = parts(app).heartbeat.ensure(session)
        session.execute(update(Environment).values(held_by=holder))
        session.execute(update(ImagePull).values(status=PullStatus.PULLING))

    drive(agent)

    assert seen(user, waiting)[0] == "starting"
    assert "pull" not in engine.calls


class Held:
    """Pulls that go on until the test lets them, and the images of those that began."""

    def __init__(self, engine: FakeEngine) -> None:
        self.begun: list[str] = []
        self.go_on = threading.Event()
        pull = engine.pull

        def held(image: str, progress: Any, cut: Cut) -> None:
            self.begun.append(image)
            while not self.go_on.wait(0.01):
                if cut.done:
                    raise PullCutError
            pull(image, progress, cut)

        engine.pull = held  # type: ignore[method-assign, assignment]


@pytest.fixture
def held(engine: FakeEngine) -> Iterator[Held]:
    held = Held(engine)
    yield held
    held.go_on.set()


def ask(user: User, engine: FakeEngine, *images: str, **fields: Any) -> list[str]:
    """Start an environment of each image, and return their ids."""
    engine.registry.update(images)
    ids = [user.new_environment(f"of-{image[7:]}", image=image, **fields) for image in images]
    for id in ids:
        assert user.post(one(id, "start")).status_code == 202
    return ids


def remote(name: str, number: int) -> list[str]:
    return [f"remote:{name}{index}" for index in range(number)]


def test_account_has_a_share_of_the_pulls(
    held: Held, app: OpenAPI, user: User, stranger: User, engine: FakeEngine, agent: Pulls
) -> None:
    """Six at once; the seventh of one account waits, and another account's does not."""
    ask(user, engine, *remote("a", 5))
    agent.run_pending()
    until(lambda: len(held.begun) == 3)
    agent.run_pending()
    assert held.begun == remote("a", 3)
    ask(stranger, engine, *remote("b", 3))
    agent.run_pending()
    until(lambda: len(held.begun) == 5)
    agent.run_pending()
    assert held.begun[3:] == remote("b", 2)

    held.go_on.set()
    for _ in range(4):
        drive(agent)
    assert engine.images >= {*remote("a", 5), *remote("b", 3)}


def test_pulls_of_a_team_count_for_who_asks(
    held: Held, user: User, stranger: User, engine: FakeEngine, agent: Pulls
) -> None:
    team = user.make("/api/v1/teams", name="core")["id"]
    user.make(f"/api/v1/teams/{team}/members", email=stranger.email, role="developer")
    project = user.make("/api/v1/projects", name="p", team_id=team)["id"]
    ask(user, engine, *remote("a", 4), project_id=project)
    ask(stranger, engine, *remote("b", 1), project_id=project)
    agent.run_pending()
    until(lambda: len(held.begun) == 4)
    assert held.begun == [*remote("a", 3), "remote:b0"]


def test_cancelled_pull_frees_its_place_at_once(
    held: Held, app: OpenAPI, user: User, engine: FakeEngine, agent: Pulls
) -> None:
    """Though nothing is heard of it: it was noticed with the next progress, a minute later."""
    ids = ask(user, engine, *remote("a", 4))
    agent.run_pending()
    until(lambda: len(held.begun) == 3)
    assert user.post(one(ids[1], "stop")).status_code == 200
    agent.run_pending()
    until(lambda: len(held.begun) == 4)
    assert seen(user, ids[1]) == ("stopped", None)
    until(lambda: len([one for one in agent._threads if one.is_alive()]) == 3)
    assert [row.error for row in rows(app)].count("cancelled") == 1


def test_deleting_ends_a_start_that_waits_for_its_image(
    held: Held, app: OpenAPI, user: User, engine: FakeEngine, agent: Pulls
) -> None:
    """It was refused as long as the registry hung, and the place was not given back."""
    ids = ask(user, engine, *remote("a", 4))
    agent.run_pending()
    until(lambda: len(held.begun) == 3)
    for gone in (ids[0], ids[3]):
        assert user.send("DELETE", one(gone)).status_code == 204
        assert user.get(one(gone)).status_code == 404
    agent.run_pending()
    until(lambda: len([thread for thread in agent._threads if thread.is_alive()]) == 2)
    assert len(rows(app)) == 2


def test_account_without_a_pull_gets_the_place_of_one_that_brings_nothing(
    held: Held,
    app: OpenAPI,
    user: User,
    stranger: User,
    engine: FakeEngine,
    agent: Pulls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent._places = Places(1, Limit.REQUESTS, ServerBusyError)
    (first,) = ask(user, engine, "remote:a")
    agent.run_pending()
    (second,) = ask(stranger, engine, "remote:b")
    agent.run_pending()
    assert {row.image: row.status for row in rows(app)}["remote:a"] == "pulling", "young"
    monkeypatch.setattr(turns, "KEPT", 0.01)
    time.sleep(0.02)
    agent.run_pending()
    assert {row.status for row in rows(app)} == {"pending"}
    monkeypatch.setattr(turns, "KEPT", 10.0)
    agent.run_pending()
    until(lambda: held.begun == ["remote:a", "remote:b"])
    assert seen(user, first) == ("starting", None), "it waits for its turn again"

    held.go_on.set()
    for _ in range(3):
        drive(agent)
    assert seen(user, first) == seen(stranger, second) == ("running", None)


def test_pull_that_brings_nothing_gives_its_place_once_and_then_ends(
    held: Held,
    app: OpenAPI,
    user: User,
    stranger: User,
    engine: FakeEngine,
    agent: Pulls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "KEPT", 0.1)
    agent._places = Places(1, Limit.REQUESTS, ServerBusyError)
    (mine,) = ask(user, engine, "remote:a")
    agent.run_pending()
    (other,) = ask(stranger, engine, "remote:b")

    def gave_way() -> bool:
        agent.run_pending()
        return seen(user, mine)[0] == "error"

    until(gave_way)
    agent.run_pending()
    until(lambda: held.begun == ["remote:a", "remote:b"] * 2)
    assert {row.image: row.error for row in rows(app)}["remote:a"] == "registry-too-slow"
    assert seen(stranger, other)[0] == "starting", "nobody waits any more"


def test_pulls_are_let_go_of_at_the_end(
    held: Held, app: OpenAPI, user: User, engine: FakeEngine, agent: Pulls
) -> None:
    (id,) = ask(user, engine, *remote("a", 1))
    agent.run_pending()
    until(lambda: len(held.begun) == 1)
    begun = time.monotonic()
    agent.close()
    assert time.monotonic() - begun < 2
    assert seen(user, id)[0] == "starting", "the next agent goes on"


def test_dripping_pull_gives_way_to_others(
    held: Held,
    app: OpenAPI,
    user: User,
    stranger: User,
    engine: FakeEngine,
    agent: Pulls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, seconds in (("WINDOW", 0.3), ("KEPT", 0.1), ("PATIENCE", 0.2)):
        monkeypatch.setattr(turns, name, seconds)
    (drips,) = ask(user, engine, "remote:drip")
    agent.run_pending()
    time.sleep(0.5)
    agent.run_pending()
    assert seen(user, drips)[0] == "starting", "nobody waits"
    (waits,) = ask(stranger, engine, "remote:good")

    def gave_way() -> bool:
        agent.run_pending()
        return seen(user, drips)[0] == "error"

    until(gave_way)
    assert "next to nothing while others waited" in str(seen(user, drips)[1])
    assert seen(stranger, waits)[0] == "starting"
    held.go_on.set()
    drive(agent)
    assert seen(stranger, waits) == ("running", None)
    assert {row.image: row.error for row in rows(app)} == {
        "remote:drip": "registry-too-slow",
        "remote:good": None,
    }


def test_pull_outlives_a_lost_agent_without_a_second_start(
    app: OpenAPI,
    user: User,
    engine: FakeEngine,
    waiting: str,
    agent: Pulls,
) -> None:
    pulling, go_on = threading.Event(), threading.Event()

    def pull(_progress: Callable[[PullProgress], None]) -> None:
        pulling.set()
        assert go_on.wait(10)

    engine.during_pull = pull
    agent.run_pending()
    assert pulling.wait(10)
    with parts(app).database.writing() as session:
        session.execute(update(Environment).values(held_by="a-process-that-died"))
    whole = parts(app)
    other = build_pulls(whole.settings, whole.database, whole.engine, whole.heartbeat)
    other.run_pending()
    go_on.set()
    drive(other)
    drive(agent)

    assert seen(user, waiting) == ("running", None)
    assert engine.calls.count("start") == 1


def test_recalled_problem_is_of_its_own_kind() -> None:
    for error in (ImagePullError("x:1"), PortTakenError()):
        again = recalled(error.slug, error.detail)

        assert type(again) is type(error)
        assert again.detail == error.detail
    assert recalled("never-heard", "x").status == 502


def test_events_tell_progress_and_end(
    user: User, waiting: str, agent: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    threading.Timer(0.2, agent.run_pending).start()

    response = user.get(one(waiting, "events"))

    assert response.mimetype == "text/event-stream"
    told = parsed(response.get_data(as_text=True))
    assert told[0][0] == "pull" and told[0][1]["percent"] == 0.0
    assert ("status", {"status": "starting", "error": None}) in told
    assert told[-1] == ("status", {"status": "running", "error": None})
    last = [data for name, data in told if name == "pull"][-1]
    assert last == {
        "image": REMOTE,
        "layers": [{"id": "1", "status": "Pull complete", "current": 10, "total": 10}],
        "bytes_done": 10,
        "bytes_total": 10,
        "percent": 100.0,
    }


def parsed(text: str) -> list[tuple[str, Any]]:
    """Return the events of a stream."""
    found = []
    for block in text.split("\n\n"):
        if block.startswith("event: "):
            name, data = block.removeprefix("event: ").split("\ndata: ")
            found.append((name, json.loads(data)))
    return found


def test_events_of_what_does_not_start_are_its_status(user: User) -> None:
    text = user.get(one(user.new_environment(), "events")).get_data(as_text=True)

    assert parsed(text) == [("status", {"status": "stopped", "error": None})]


def test_followed_events_go_on_until_their_time_is_over(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(events, "LONGEST_SECONDS", 0.3)
    identity = user.new_environment()

    text, deleted = "", False
    response = user.get(one(identity, "events") + "?follow=true", buffered=False)
    for piece in response.iter_encoded():
        text += piece.decode()
        if ": still here\n\n" in text and not deleted:
            deleted = user.send("DELETE", one(identity)).status_code == 204
    response.close()

    assert text.startswith('event: status\ndata: {"status": "stopped"')
    assert deleted


def test_streams_are_bounded(user: User, stranger: User) -> None:
    """Half of the threads may stream, and an account takes half of those."""
    path, other = (
        one(somebody.new_environment(), "events") + "?follow=true" for somebody in (user, stranger)
    )
    mine = [user.get(path, buffered=False) for _ in range(2)]
    with moved(REFUSALS) as refusals:
        refused = user.get(path)
    assert_problem(refused, 429, "too-many-requests")
    assert refused.headers["Retry-After"] == "1"
    assert refusals == {("streams",): 1}
    for response in mine:
        response.close()
        response.close()  # gives back one place, not two
    assert user.send("HEAD", path).status_code == 200  # keeps none
    again = [user.get(path, buffered=False) for _ in range(2)]
    assert [response.status_code for response in again] == [200] * 2
    again.append(stranger.get(other, buffered=False))
    assert_problem(stranger.get(other), 429, "too-many-requests")
    for response in again:
        response.close()


def test_streams_of_all_are_bounded(app: OpenAPI, user: User) -> None:
    path = one(user.new_environment(), "events") + "?follow=true"
    access = Access(Identity("x", "x@example.org"), Action.ENVIRONMENT_READ, None)
    admission = parts(app).admission
    held = [
        admission.open(Kind.STREAM, replace(access, identity=Identity(str(number), "x")))
        for number in range(4)
    ]
    with moved(REFUSALS) as refusals:
        assert_problem(user.get(path), 503, "too-many-streams")
    assert refusals == {("server_streams",): 1}
    for one_held in held:
        one_held.close()
    last = user.get(path, buffered=False)
    assert last.status_code == 200
    last.close()


def test_streams_end_when_the_worker_stops(app: OpenAPI, user: User) -> None:
    class Stopping:
        alive = False

    parts(app).lifecycle.attach(Stopping(), None)

    text = user.get(one(user.new_environment(), "events") + "?follow=true").get_data(as_text=True)

    assert [name for name, _ in parsed(text)] == ["status", "end"]
