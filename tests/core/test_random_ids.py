"""Ids are of one form and never repeat, in threads and over a fork."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

from app.core.random_ids import RandomIds


def test_ids_of_threads_never_repeat() -> None:
    ids = RandomIds()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ids.new(), range(4000)))
    assert len(set(made)) == 4000
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in made)


def test_child_makes_others() -> None:
    ids = RandomIds()
    ids.new()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, " ".join(ids.new() for _ in range(63)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        theirs = told.read().split()
    os.waitpid(pid, 0)
    assert len(theirs) == 63
    assert not {ids.new() for _ in range(63)} & set(theirs)
