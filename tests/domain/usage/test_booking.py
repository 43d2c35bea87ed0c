"""What is booked adds up to what was used, however it is read and however long nobody reads."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.domain.usage.booking import COUNTERS, Booking, Totals, Use, book, book_end
from app.storage import UsagePeriod

NS = 1_000_000_000
HOUR = 3600 * NS
BEGAN = 1_770_000_000 * NS + 123  # not on the hour

steps = st.lists(
    st.tuples(st.integers(1, 5 * 24 * HOUR), st.integers(0, 10**14)), min_size=1, max_size=20
)


def total(bookings: list[Booking]) -> Use:
    return sum((booking.use for booking in bookings), Use())


@given(steps)
def test_parts_add_up_to_the_totals(steps: list[tuple[int, int]]) -> None:
    known, at, booked = None, BEGAN, Use()
    amount = 0
    for passed, used in steps:
        at, amount = at + passed, amount + used
        reading = Totals(at, oom_kills=amount, **dict.fromkeys(COUNTERS, amount))
        booked += total(book(known, reading, BEGAN))
        known = reading
    assert [getattr(booked, name) for name in COUNTERS] == [amount] * len(COUNTERS)
    assert (booked.oom_kills, booked.runs, booked.running_ns) == (amount, 1, at - BEGAN)


@given(st.integers(1, 48 * HOUR), st.integers(0, 10**15))
def test_use_is_booked_to_the_hours_in_which_it_was(passed: int, used: int) -> None:
    bookings = book(Totals(BEGAN), Totals(BEGAN + passed, cpu_ns=used), BEGAN)
    starts = [booking.starts_at for booking in bookings]
    assert starts == sorted(set(starts))
    assert all(booking.period is UsagePeriod.HOUR for booking in bookings)
    assert all(0 < booking.use.running_ns <= HOUR for booking in bookings)
    assert total(bookings).cpu_ns == used


def test_what_nobody_read_for_days_is_booked_by_day() -> None:
    bookings = book(None, Totals(BEGAN + 30 * 24 * HOUR, cpu_ns=30), BEGAN)
    assert {booking.period for booking in bookings} == {UsagePeriod.DAY}
    assert (len(bookings), total(bookings).cpu_ns) == (31, 30)


def test_memory_is_held_for_the_time_between_two_readings() -> None:
    known = Totals(BEGAN, memory_bytes=1000, memory_peak_bytes=5000)
    (booking,) = book(known, replace(known, read_at_ns=BEGAN + 10 * NS, memory_bytes=3000), BEGAN)
    assert booking.use.memory_byte_seconds == 20_000
    # The kernel's peak is of an earlier time: it has not risen since.
    assert booking.memory_peak_bytes == 3000
    higher = replace(known, read_at_ns=BEGAN + NS, memory_peak_bytes=7000)
    assert book(known, higher, BEGAN)[0].memory_peak_bytes == 7000


def test_total_that_falls_takes_nothing_away() -> None:
    known = Totals(BEGAN, network_rx_bytes=100, cpu_ns=50)
    (booking,) = book(known, Totals(BEGAN + NS, network_rx_bytes=7, cpu_ns=60), BEGAN)
    assert (booking.use.network_rx_bytes, booking.use.cpu_ns) == (0, 10)


def test_clock_that_is_set_back_loses_no_counter() -> None:
    (booking,) = book(Totals(BEGAN, cpu_ns=5), Totals(BEGAN - HOUR, cpu_ns=9), BEGAN)
    assert (booking.use.cpu_ns, booking.use.running_ns) == (4, 0)


def test_time_after_the_last_reading_is_unread() -> None:
    use = total(book_end(Totals(BEGAN + NS, cpu_ns=5), BEGAN + 4 * NS, BEGAN, oom=True))
    assert use == Use(running_ns=3 * NS, unread_ns=3 * NS, oom_kills=1)


def test_run_that_nobody_read_is_told_as_such() -> None:
    use = total(book_end(None, BEGAN + 4 * NS, BEGAN, oom=False))
    assert use == Use(running_ns=4 * NS, unread_ns=4 * NS, runs=1, unread_runs=1)


def test_kill_that_was_read_is_not_counted_again_at_the_end() -> None:
    assert book_end(Totals(BEGAN, oom_kills=1), BEGAN, BEGAN, oom=True) == []


def test_clock_that_began_in_1970_is_no_time_that_anything_ran() -> None:
    early = Totals(5 * NS, memory_bytes=2**30)
    (booking,) = book(early, Totals(BEGAN, cpu_ns=7, memory_bytes=2**30), 0)
    assert (booking.use, booking.starts_at.year) == (Use(cpu_ns=7), 2026)
    assert book_end(early, BEGAN, 0, oom=False) == []
    assert total(book_end(None, BEGAN, 0, oom=False)) == Use(runs=1, unread_runs=1)
