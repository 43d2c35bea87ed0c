"""The synthetic user in the scrape: where it fails and since when, or nothing where it is off."""

import pytest
from flask.testing import FlaskClient

from app.domain.probe.rounds import Outcome, ProbeRounds
from app.storage import ProbeStep
from tests.support.application import MakeApp, parts

FAMILY = "vibebox_probe_"


def scrape(client: FlaskClient) -> dict[str, float]:
    text = client.get("/health/metrics").get_data(as_text=True)
    lines = (line.rpartition(" ") for line in text.splitlines())
    return {name: float(value) for name, _, value in lines if name.startswith(FAMILY)}


@pytest.mark.parametrize("step", list(ProbeStep))
def test_scrape_shows_where_the_last_round_failed(make_app: MakeApp, step: ProbeStep) -> None:
    app = make_app(probe_url="http://127.0.0.1:1", probe="cron", probe_interval=60)
    client = app.test_client()
    # Nobody has waited for one yet, as where there is no agent.
    assert scrape(client)[f"{FAMILY}last_success_age_seconds"] == float("inf")
    rounds = ProbeRounds(parts(app).database)
    rounds.finish(rounds.begin("command", 60), Outcome({}))
    rounds.finish(rounds.begin("command", 60), Outcome({}, step, "It fails.", "Mend it."))

    found = scrape(client)
    failed = {name for name, value in found.items() if "failed_step" in name and value}
    assert failed == {f'{FAMILY}failed_step{{step="{step}"}}'}
    assert found[f"{FAMILY}interval_seconds"] == 60
    assert 0 <= found[f"{FAMILY}last_success_age_seconds"] < 30


def test_off_shows_nothing(make_app: MakeApp) -> None:
    client = make_app().test_client()
    # Other tests of this process have counted rounds; what is read at a scrape is of this one.
    shown = {name for name in scrape(client) if "_total" not in name and "_created" not in name}
    assert not [name for name in shown if "duration" not in name]
