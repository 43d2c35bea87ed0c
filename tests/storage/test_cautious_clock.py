"""The time for what deletes: whatever a clock does, nothing is over before it is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from app.storage import Database
from app.storage.cautious_clock import CautiousClock, boot_id, uptime

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class Host:
    """A host whose clock can be set; time passes by `pass_`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.up = 1000.0
        self.wall = NOON
        self.boot = "this-boot"
        monkeypatch.setattr("app.storage.clock.utc_now", lambda: self.wall)

    def pass_(self, time: timedelta) -> None:
        self.up += time.total_seconds()
        self.wall += time

    def clock(self, database: Database) -> CautiousClock:
        return CautiousClock(database, uptime=lambda: self.up, boot_id=lambda: self.boot)


@pytest.fixture
def database(sqlite: Database) -> Database:
    """On SQLite, whose clock is the host's: a test cannot set that of a PostgreSQL server."""
    return sqlite


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    yield Host(monkeypatch)


def test_time_passes_as_the_clock_shows(database: Database, host: Host) -> None:
    clock = host.clock(database)
    for _ in range(30):
        assert abs(clock.now() - host.wall) < SECOND
        host.pass_(HOUR)


@pytest.mark.parametrize("restarted", [False, True], ids=["goes on", "is started anew"])
def test_clock_that_is_set_forward_ends_nothing_early(
    database: Database, host: Host, restarted: bool
) -> None:
    clock = host.clock(database)
    clock.now()
    host.pass_(10 * SECOND)
    true_time = host.wall

    host.wall += HOUR
    if restarted:
        clock = host.clock(database)

    assert clock.now() == true_time
    host.pass_(HOUR / 2)
    assert clock.now() == true_time + HOUR / 2


def test_clock_that_is_set_forward_is_believed_after_a_day(database: Database, host: Host) -> None:
    clock = host.clock(database)
    clock.now()
    host.wall += HOUR
    for _ in range(24):
        assert host.wall - clock.now() == HOUR
        host.pass_(HOUR)
    assert host.wall == clock.now()


def test_clock_that_is_set_back_holds_at_once_and_for_a_day_after_its_correction(
    database: Database, host: Host
) -> None:
    clock = host.clock(database)
    clock.now()
    host.wall -= HOUR
    assert clock.now() == host.wall
    host.wall += HOUR
    assert clock.now() == host.wall - HOUR


def test_process_under_a_wrong_clock_hears_of_another_one_that_was_right(
    database: Database, host: Host
) -> None:
    host.clock(database).now()
    host.wall += HOUR

    assert host.clock(database).now() == host.wall - HOUR


def test_another_boot_says_nothing(database: Database, host: Host) -> None:
    host.clock(database).now()
    host.boot, host.up = "another-boot", 5.0
    host.wall += HOUR

    assert host.clock(database).now() == host.wall


def test_noise_is_not_kept_anew(database: Database, host: Host) -> None:
    clock = host.clock(database)
    clock.now()
    host.wall -= 0.5 * SECOND  # read late
    assert clock.now() == host.wall
    host.wall += 0.5 * SECOND
    assert clock.now() == host.wall


def test_the_kernel_tells_its_boot_and_how_long_ago_that_was() -> None:
    assert len(boot_id()) == 36
    first = uptime()
    assert 0 < first <= uptime()
