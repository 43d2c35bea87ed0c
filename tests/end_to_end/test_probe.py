"""The synthetic user comes through a whole installation, and names the step where it does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet
from sqlalchemy import Select, select

from app.storage import Database, Environment, ProbeRound, User
from tests.backends.migrated import at_head
from tests.backends.programs import wait_until
from tests.end_to_end.api import Api
from tests.end_to_end.probe import ACCOUNT, FAULTS, ROUNDS, STEPS, Fault, Site, site

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]

SOON = 20.0
ENDED = ProbeRound.finished_at.is_not(None)


@pytest.fixture(scope="module")
def it() -> Iterator[Site]:
    with site() as made:
        yield made


def _parameter(fault: Fault) -> ParameterSet:
    marks = [pytest.mark.full] if fault.rare else []
    return pytest.param(fault, id=fault.name, marks=marks)


def rounds(it: Site, outcome: str) -> float:
    return it.scraped()[ROUNDS.format(outcome)]


def left_behind(it: Site) -> list[str]:
    """Return what the synthetic user has left in the database and in the engine."""
    client: Any = it.engine.client()
    containers = [one["Names"][0] for one in client.containers(all=True)]
    return [*read(it, select(Environment.id)), *containers]


def read(it: Site, query: Select[Any]) -> list[Any]:
    database = Database(it.server.env["DATABASE_URL"])
    try:
        with database.reading() as session:
            return list(session.scalars(query))
    finally:
        database.dispose()


def test_there_are_ten_faults_in_each_run() -> None:
    assert len([fault for fault in FAULTS if not fault.rare]) >= 10


def test_agent_lets_it_go_and_it_is_counted_apart(it: Site) -> None:
    found = it.first

    assert found[ROUNDS.format("failure")] == 0
    for step in STEPS:
        name = f'vibebox_probe_step_duration_seconds_count{{step="{step}"}}'
        assert found[name] == 1
        assert found[f'vibebox_probe_failed_step{{step="{step}"}}'] == 0
    assert found['vibebox_probe_failed_step{step="none"}'] == 1
    assert found["vibebox_probe_last_success_age_seconds"] < SOON
    requested = {name for name in found if name.startswith("vibebox_http_requests_total{")}
    counted = {name for name in requested if found[name] and "/health" not in name}
    assert counted and all('route="synthetic"' in name for name in counted), counted
    assert found['vibebox_environment_start_duration_seconds_count{outcome="success"}'] == 0
    assert found['vibebox_users{state="registered"}'] == 0


def succeeded(it: Site) -> int:
    """Return how many rounds came through, counted or not yet."""
    return len(read(it, select(ProbeRound.id).where(ProbeRound.step.is_(None), ENDED)))


def test_command_makes_a_round_that_metrics_show(it: Site) -> None:
    before, of_others = succeeded(it), {*left_behind(it)}
    found = it.probe()

    assert found["outcome"] == "success" and list(found["seconds"]) == STEPS, found
    # What a fault left behind just now may be swept by a later round.
    assert {*left_behind(it)} <= of_others
    assert succeeded(it) == before + 1
    # Those of other tests may have to be counted still.
    wait_until(lambda: rounds(it, "success") == before + 1, SOON, 0.2)


def test_database_of_another_installation_is_named(it: Site, tmp_path: Path) -> None:
    url = at_head(f"sqlite:///{tmp_path}/mine.db")
    found = it.probe({"DATABASE_URL": url})

    assert found["step"] == "sign_in" and url in found["says"], found
    assert "DATABASE_URL" in found["next_step"]


@pytest.mark.parametrize("fault", [_parameter(fault) for fault in FAULTS])
def test_fault_fails_its_step(it: Site, fault: Fault) -> None:
    undo = fault.harm(it)
    try:
        found = it.probe(fault.told(it))
    finally:
        undo()

    assert found["step"] in (fault.step, fault.or_at), found
    says = (fault.says, fault.or_says or fault.says)
    assert any(words in found["says"] for words in says), found
    assert fault.next_step in found["next_step"], found
    assert found["next_step"].endswith(".")


def test_what_a_round_left_behind_the_next_one_sweeps(it: Site) -> None:
    late = it.probe({"VIBEBOX_PROBE_TIMEOUT": "0.6", "VIBEBOX_PROBE_STEP_TIMEOUT": "0.3"})
    assert late["outcome"] == "failure"

    rounds = []

    def swept() -> bool:
        rounds.append(it.probe())
        return rounds[-1]["outcome"] == "success" and not left_behind(it)

    wait_until(swept, SOON, 0.5, lambda: f"{rounds}, left behind: {left_behind(it)}")


def test_account_is_marked_and_nobody_elses_is_taken(it: Site) -> None:
    it.probe()
    with Api(it.server.url) as api:
        email = "ada@example.org"
        assert api.register(email).status_code == 201
        taken = it.probe({"VIBEBOX_PROBE_ACCOUNT": email})
        assert taken["step"] == "prepare" and "account of a person" in taken["says"]
        assert "VIBEBOX_PROBE_ACCOUNT" in taken["next_step"]
        assert api.login(email).ok
    assert read(it, select(User.email).where(User.is_synthetic)) == [ACCOUNT]
