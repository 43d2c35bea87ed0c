"""What other processes do in the storage tests; each of them runs this module.

Plain processes and pipes instead of multiprocessing, whose helper process would look like a leak.
"""

import subprocess
import sys
from contextlib import ExitStack

from sqlalchemy import select

from app.storage import Database, Environment, schema

TIMEOUT = 60


def together(count: int, task: str, url: str) -> list[int]:
    """Run `task` in `count` processes at once and return their exit codes."""
    command = [sys.executable, "-m", __name__, task, url]
    with ExitStack() as stack:
        processes = []
        for _ in range(count):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            assert process.stdout and process.stdout.readline() == b"ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.close()
        return [process.wait(TIMEOUT) for process in processes]


def migrate(database: Database) -> None:
    """Upgrade the schema."""
    schema.upgrade(database)
    schema.check(database)


def increment(database: Database) -> None:
    """Add 50 times to a number that is read, changed and written back."""
    for _ in range(50):
        with database.writing() as session:
            environment = session.scalars(select(Environment)).one()
            environment.memory_limit_mb += 1


if __name__ == "__main__":
    tasks = {"migrate": migrate, "increment": increment}
    print("ready", flush=True)
    sys.stdin.read()
    tasks[sys.argv[1]](Database(sys.argv[2]))
