"""What is taken for a paste."""

from app.web.streams.pasting import Paste
from tests.web.websockets.support import Clock


def test_typing_is_no_paste() -> None:
    paste = Paste(Clock())
    for _ in range(100):
        paste.note_input(1)
        paste.note_output()
    assert not paste.goes_on


def test_paste_goes_on_while_anything_moves() -> None:
    clock = Clock()
    paste = Paste(clock)
    paste.note_input(64 * 1024)
    for note in (paste.note_output, lambda: paste.note_input(10), paste.note_output):
        clock.jump(Paste.QUIET * 0.9)
        assert paste.goes_on
        note()
    clock.jump(Paste.QUIET)
    assert not paste.goes_on
    paste.note_output()
    assert not paste.goes_on, "what the command says later is no paste"
