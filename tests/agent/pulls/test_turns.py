"""Which pull gives way, and to whom, with a clock of the test's own."""

from app.agent.pulls.turns import KEPT, LEAST, PATIENCE, WINDOW, Running, Turns
from app.core.places import Place
from app.engine import LayerProgress, PullProgress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    def __init__(self) -> None:
        self.clock = Clock()
        self.turns = Turns(self.clock)
        self.running: list[Running] = []

    def begin(self, account: str) -> Running:
        made = Running(account, Place(), self.clock)
        self.running.append(made)
        return made

    def passes(self, seconds: float, **rates: Running) -> None:
        """Let time pass; `slow`, `quick` … bring so much meanwhile, see `bring`."""
        for _ in range(round(seconds)):
            self.clock.now += 1
            for rate, one in rates.items():
                bring(one, {"quick": 10 * LEAST, "slow": LEAST // 4}[rate])

    def gives_way(self, *waiting: str) -> Running | None:
        found = self.turns.gives_way(self.running, waiting)
        if found is not None:
            self.running.remove(found)
        return found


def bring(one: Running, number: int, status: str = "Downloading") -> None:
    done = one._seen[-1][1] + number
    one.note(PullProgress((LayerProgress("1", status, done, 10**9),), done, 10**9))


def test_alone_nobody_gives_way() -> None:
    scene = Scene()
    scene.begin("a")
    scene.begin("a")
    scene.passes(10 * WINDOW)
    assert scene.gives_way() is None
    assert scene.gives_way("a") is None


def test_oldest_that_brings_nothing_gives_way_to_another_account() -> None:
    scene = Scene()
    first, _ = scene.begin("a"), scene.begin("a")
    scene.passes(WINDOW - 1)
    assert scene.gives_way("b") is None
    scene.passes(1)
    assert scene.gives_way("b") is first


def test_who_is_kept_waiting_looks_slow_and_is_younger() -> None:
    """Docker calls a layer "Waiting" also when it has begun to drip: only the order tells."""
    scene = Scene()
    drips = [scene.begin("a") for _ in range(3)]
    scene.passes(5)
    victim = scene.begin("b")
    scene.passes(WINDOW + 10)
    assert scene.gives_way() is drips[0]
    assert scene.gives_way() is None, "whether it helped shows in a while"
    scene.passes(PATIENCE)
    assert scene.gives_way() is drips[1]
    scene.passes(PATIENCE, quick=victim)
    assert scene.gives_way() is None, "it helped"


def test_what_is_quick_stays_whoever_waits() -> None:
    scene = Scene()
    quick = scene.begin("a")
    scene.passes(5 * WINDOW, quick=quick)
    assert scene.gives_way("b", "c") is None
    scene.passes(KEPT)
    assert scene.gives_way("b") is None, "it was quick of late"


def test_slow_one_stays_while_nobody_waits() -> None:
    scene = Scene()
    slow = scene.begin("a")
    other = scene.begin("b")
    scene.passes(2 * WINDOW, slow=slow, quick=other)
    assert scene.gives_way() is None
    scene.passes(KEPT + 1, slow=slow)
    assert scene.gives_way() is slow, "the other gets nothing any more"


def test_who_has_none_gets_the_place_of_the_oldest_that_brings_nothing() -> None:
    scene = Scene()
    other = scene.begin("b")
    first, _ = scene.begin("a"), scene.begin("a")
    assert scene.turns.gives_place(scene.running, ["c"]) is None
    scene.passes(KEPT)
    assert scene.turns.gives_place(scene.running, ["a", "b"]) is None, "they have some"
    assert scene.turns.gives_place(scene.running, ["a", "c"]) is first
    scene.running.remove(first)
    assert scene.turns.gives_place(scene.running, ["c"]) is other
    for one in scene.running:
        bring(one, 1)
    assert scene.turns.gives_place(scene.running, ["c"]) is None


def test_who_gave_a_place_waits_behind_the_others() -> None:
    scene = Scene()
    scene.turns.put_back("a", ["b"])
    scene.passes(1)
    scene.turns.put_back("b", ["a", "c"])
    assert sorted("abc", key=scene.turns.last_put_back) == ["c", "a", "b"]
    scene.turns.put_back("c", ["b"])
    assert scene.turns.last_put_back("a") == 0, "of those who wait no longer nothing is kept"


def test_what_has_arrived_gives_way_to_nobody() -> None:
    scene = Scene()
    extracts = scene.begin("a")
    bring(extracts, 100, "Extracting")
    scene.passes(3 * WINDOW)
    assert scene.gives_way("b") is None
    assert not extracts.is_kept
