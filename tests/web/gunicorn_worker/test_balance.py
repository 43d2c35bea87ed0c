"""Workers of a server know which of them is busy."""

import time

import pytest

from app.web.gunicorn_worker.balance import Loads


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize(
    ("mine", "others", "naps_wanted"),
    [
        ((0, 0), [(0, 0)], 0),
        ((0, 1), [(0, 0)], 1),
        ((0, 1), [(0, 1)], 0),
        ((0, 1), [(0, 2), (1, 0)], 0),
        ((1, 1), [(0, 500)], 1),
        ((3, 9), [], 0),
    ],
)
def test_who_is_busier_gives_way(
    naps: list[float],
    mine: tuple[int, int],
    others: list[tuple[int, int]],
    naps_wanted: int,
) -> None:
    loads = Loads()
    for place, load in enumerate(others, start=1):
        loads.of(place).tell(*load)
    own = loads.of(0)
    own.tell(*mine)
    own.give_way()
    assert len(naps) == naps_wanted


def test_nobody_gives_way_to_who_is_gone(naps: list[float]) -> None:
    loads = Loads()
    loads.of(1).tell(0, 0)
    loads.of(0).tell(0, 5)
    loads.of(1).leave()
    loads.of(0).give_way()
    assert naps == []
