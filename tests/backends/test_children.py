"""Children are those that psutil finds, whichever thread made them."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.backends.children import children, descendants

PARENT = ["sh", "-c", "sleep 60 & sleep 60 & echo started; wait"]


def start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(PARENT, stdout=subprocess.PIPE, start_new_session=True)


def test_children_of_all_threads_and_theirs() -> None:
    with ThreadPoolExecutor(1) as other:
        made = [start(), other.submit(start).result()]
        try:
            for one in made:
                assert one.stdout and one.stdout.readline() == b"started\n"
            me = psutil.Process()
            assert {one.pid for one in made} <= {one.pid for one in children(os.getpid())}
            assert set(children(os.getpid())) == set(me.children())
            assert set(descendants(os.getpid())) == set(me.children(recursive=True))
        finally:
            for one in made:
                os.killpg(one.pid, 9)
                one.communicate()


def test_process_that_is_gone_is_said_to_be() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(psutil.NoSuchProcess):
        children(gone.pid)
