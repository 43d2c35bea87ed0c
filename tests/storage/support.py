"""What the storage tests share: a good user and environment, and a stopwatch."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.storage import Database, Environment, Project, User, new_id
from tests.backends.postgresql import PostgreSQL

# More than any bounded wait here plus a slow machine, and much less than a hang.
HANG = 20.0


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = monotonic()

    @property
    def seconds(self) -> float:
        return monotonic() - self._started


def user(email: str = "ada@example.org") -> User:
    return User(id=new_id(), email=email, password_hash="hash")


def environment(project: Project, name: str = "web") -> Environment:
    return Environment(
        project=project, name=name, image="python:3.11", cpu_limit=0.5, memory_limit_mb=64
    )


def add_environment(session: Session, email: str = "ada@example.org") -> Environment:
    """Store an account, its project and an environment in that."""
    owner = user(email)
    project = Project(name="personal", owner_user_id=owner.id)
    for row in (owner, project):
        session.add(row)
        session.flush()
    added = environment(project)
    session.add(added)
    session.flush()
    return added


def answer(database: Database) -> int:
    """Run the smallest statement there is."""
    with database.reading() as session:
        return int(session.execute(text("SELECT 1")).scalar_one())


@contextmanager
def suspended(server: PostgreSQL) -> Iterator[Stopwatch]:
    """Hang the server for the duration of the body."""
    server.suspend()
    try:
        yield Stopwatch()
    finally:
        server.resume()


@contextmanager
def all_connections_busy(database: Database, slots: int) -> Iterator[None]:
    """Let other threads hold every slot of the pool."""
    ready, done = threading.Barrier(slots + 1), threading.Event()

    def hold() -> None:
        with database.reading() as session:
            session.execute(text("SELECT 1"))
            ready.wait()
            done.wait()

    threads = [threading.Thread(target=hold) for _ in range(slots)]
    with ExitStack() as stack:
        for thread in threads:
            stack.callback(thread.join)
            thread.start()
        stack.callback(done.set)
        ready.wait(timeout=30)
        yield
