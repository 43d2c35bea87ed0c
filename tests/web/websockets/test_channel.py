"""A channel over a real pair of sockets: messages, bounds, signs of life, ends."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from websockets.frames import Opcode

from app.web.websockets import channel as module
from app.web.websockets.assembly import LARGEST_MESSAGE
from app.web.websockets.channel import LONGEST_HOLD, MOST_PENDING, PING, STALLED, Channel
from app.web.websockets.wakeup import Wakeup
from tests.web.websockets.support import Clock, Peer

BLOCK = b"x" * 16_384


class House:
    """A channel, its peer, and what the channel asks of its surroundings."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.clock = Clock()
        self.wakeup = Wakeup()
        self.counted: Counter[str] = Counter()
        self.connection = theirs
        self.peer = Peer(theirs)
        self.channel = Channel(ours, self.wakeup, self._count, clock=self.clock)

    def _count(self, direction: str) -> None:
        self.counted[direction] += 1

    def receive(self, number: int = 1) -> list[str | bytes]:
        """Take turns until so many messages have come."""
        messages: list[str | bytes] = []
        for _ in range(50):
            if len(messages) >= number or not self.channel.open:
                break
            self.channel.run_once(0.1)
            messages += self.channel.received()
        return messages

    def close_frames(self) -> int:
        return sum(frame.opcode is Opcode.CLOSE for frame in self.peer.frames)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let the peer read in a thread until the connection ends."""
        thread = threading.Thread(target=self.peer.read, args=(lambda: False,))
        thread.start()
        yield
        self.channel.finish()
        self.connection.settimeout(1)
        thread.join(5)


@pytest.fixture
def house() -> Iterator[House]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        house = House(ours, theirs)
        yield house
        house.wakeup.close()


def test_messages_go_both_ways_and_are_counted(house: House) -> None:
    house.peer.text("grüße")
    house.peer.binary(b"\x00\xff")
    assert house.receive(2) == ["grüße", b"\x00\xff"]

    house.channel.send("one")
    house.channel.send(b"two")
    house.peer.read(lambda: len(house.peer.messages()) == 2)

    assert house.peer.messages() == [b"one", b"two"]
    assert house.counted == {"in": 2, "out": 2}


def test_fragments_are_one_message(house: House) -> None:
    letter = "ü".encode()
    house.peer.protocol.send_text(b"f" + letter[:1], False)
    house.peer.flush()
    house.peer.more(letter[1:] + b"n", False)
    house.peer.more(b"f", True)

    assert house.receive() == ["fünf"]
    assert house.counted["in"] == 1


def test_ping_of_the_peer_is_answered_and_is_no_message(house: House) -> None:
    house.peer.protocol.send_ping(b"there?")
    house.peer.flush()
    house.channel.run_once()

    house.peer.read(lambda: bool(house.peer.frames))
    assert [(frame.opcode, bytes(frame.data)) for frame in house.peer.frames] == [
        (Opcode.PONG, b"there?")
    ]
    assert not house.counted


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007),  # text that is no UTF-8
        (b"\x81\x01x", 1002),  # a client's frame without a mask
        (b"\x80\x81\x00\x00\x00\x00x", 1002),  # the middle of a message without its beginning
        (b"\x81\xff" + (LARGEST_MESSAGE + 1).to_bytes(8) + b"\0\0\0\0", 1009),
    ],
    ids=["not-utf8", "unmasked", "continuation", "too-large"],
)
def test_what_breaks_the_protocol_closes(house: House, data: bytes, code: int) -> None:
    house.peer.raw(data)
    assert house.receive() == []
    house.channel.finish()
    house.peer.read(lambda: house.peer.close is not None)

    assert not house.channel.open
    assert house.peer.close is not None and house.peer.close[0] == code
    assert house.channel.ending[0] == code


def test_largest_message_is_taken_in_pieces_and_whole(house: House) -> None:
    half = b"y" * (LARGEST_MESSAGE // 2)
    with threading_send(house, half):
        assert house.receive() == [half * 2]


@contextmanager
def threading_send(house: House, half: bytes) -> Iterator[None]:
    """Send a message of two halves while the channel reads."""

    def send() -> None:
        house.peer.binary(half, False)
        house.peer.more(half, True)

    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join(5)


def test_slow_reader_is_cut_off_at_the_bound_and_told(house: House) -> None:
    sent = 0
    while house.channel.open:
        assert house.channel.pending <= MOST_PENDING
        house.channel.send(BLOCK)
        sent += 1
    assert sent * len(BLOCK) > MOST_PENDING
    assert house.channel.pending < 2 * len(BLOCK), "what it did not take is dropped"

    with house.reading():
        pass

    assert house.peer.close == (1008, "too slow")
    assert 0 < len(house.peer.messages()) < sent
    assert set(house.peer.messages()) == {BLOCK}, "no message is cut in two"


def test_channel_that_waits_for_room_never_meets_the_bound(house: House) -> None:
    most = 0
    with house.reading():
        for _ in range(500):
            house.channel.send(BLOCK)
            most = max(most, house.channel.pending)
            house.channel.wait_for_room()

    assert most < MOST_PENDING // 2
    assert house.peer.messages() == [BLOCK] * 500
    assert house.peer.close == (1000, "")


def test_turn_ends_when_there_is_room_again(house: House) -> None:
    while house.channel.room:
        house.channel.send(BLOCK)
    house.connection.setblocking(False)
    with suppress(BlockingIOError):
        while house.connection.recv(65536):
            pass
    before = house.clock()
    house.channel.run_once(30)

    assert house.channel.room
    assert house.clock() - before < 15, "what waits for room is not woken by anything else"


def test_reader_that_takes_nothing_is_cut_off(house: House) -> None:
    while house.channel.room:
        house.channel.send(BLOCK)
    house.channel.run_once(0)
    assert house.channel.open
    house.clock.jump(STALLED + 1)
    house.channel.run_once(0)

    assert house.channel.ending == (1008, "too slow")


def test_silent_peer_is_asked_and_then_given_up(house: House) -> None:
    house.clock.jump(PING + 1)
    house.channel.run_once(0)
    house.channel.run_once(0)
    house.peer.read(lambda: bool(house.peer.frames))
    assert [frame.opcode for frame in house.peer.frames] == [Opcode.PING], "asked once"

    house.channel.run_once(0)  # the answer is taken in
    house.clock.jump(PING + 1)
    house.channel.run_once(0)
    assert house.channel.open, "a peer that answers lives"

    house.clock.jump(PING + 1)
    house.channel.run_once(0)
    assert not house.channel.open and house.channel.over


def test_silence_of_a_peer_that_is_not_read_proves_nothing(house: House) -> None:
    for _ in range(4):
        house.peer.text("waits")
        house.clock.jump(PING + 1)
        house.channel.run_once(0, read=False)
    assert house.channel.open
    house.peer.read(lambda: len(house.peer.frames) > 2)
    assert {frame.opcode for frame in house.peer.frames} == {Opcode.PING}, "the kernel is told"
    assert house.receive(4) == ["waits"] * 4


def test_peer_that_closes_gets_its_answer(house: House) -> None:
    house.peer.protocol.send_close(1001, "bye")
    house.peer.flush()
    house.channel.run_once()
    assert not house.channel.open
    house.channel.finish()
    house.peer.read(lambda: False)

    assert house.peer.close == house.channel.ending == (1001, "bye")


def test_peer_that_vanishes_ends_the_channel(house: House) -> None:
    house.connection.close()
    house.channel.run_once()
    house.channel.finish()

    assert house.channel.over and house.channel.ending[0] == 1006


def test_draining_worker_says_so(house: House) -> None:
    house.wakeup.set()
    house.channel.run_once(0)
    assert not house.channel.open
    with house.reading():
        pass

    assert house.peer.close is not None and house.peer.close[0] == 1001
    assert house.close_frames() == 1


def test_reload_waits_for_what_holds_the_channel(house: House) -> None:
    house.channel.hold = True
    house.wakeup.set()
    before = house.clock()
    house.channel.run_once(0.1)
    assert house.channel.open
    assert house.clock() - before >= 0.1, "the wakeup that rings all the time wakes nobody"
    house.peer.text("more")
    assert house.receive() == ["more"]

    house.channel.hold = False
    house.channel.run_once(0)
    assert house.channel.ending[0] == 1001


def test_nothing_holds_a_channel_for_ever(house: House) -> None:
    house.channel.hold = True
    house.wakeup.set()
    house.channel.run_once(0)
    house.clock.jump(LONGEST_HOLD + 0.1)
    house.channel.run_once(0)
    assert house.channel.ending[0] == 1001


def test_farewell_to_a_peer_that_reads_nothing_is_short(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.2)
    while house.channel.room:
        house.channel.send(BLOCK)
    before = house.clock()
    house.channel.finish()

    assert not house.channel.over
    assert house.clock() - before < 5


def test_reason_is_cut_to_what_a_frame_holds(house: House) -> None:
    house.channel.close(1000, "ü" * 100)
    with house.reading():
        pass

    assert house.peer.close == (1000, "ü" * 61)


def test_other_descriptors_are_watched(house: House) -> None:
    left, right = socket.socketpair()
    with left, right:
        assert house.channel.run_once(0, {left.fileno(): 1}) == {}
        right.send(b"x")
        assert set(house.channel.run_once(0.5, {left.fileno(): 1})) == {left.fileno()}


def test_messages_wait_while_they_are_not_read(house: House) -> None:
    house.peer.text("later")
    house.channel.run_once(0.05, read=False)
    assert house.channel.received() == []
    assert house.receive() == ["later"]
