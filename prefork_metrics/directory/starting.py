"""A start makes, checks and, where nobody lives in it, cleans the directory."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prefork_metrics.directory import disk, layout, locks
from prefork_metrics.directory.absorption import absorb
from prefork_metrics.directory.layout import Listing
from prefork_metrics.directory.membership import is_live
from prefork_metrics.directory.ownership import Ownership, is_owned
from prefork_metrics.errors import MetricsDirectoryBusyError, MetricsDirectoryError

_log = logging.getLogger(__name__)


def prepare(directory: Path) -> int:
    """Make and check the directory; clean it if nobody lives in it, else absorb the dead.

    Returns: how many live members were found (0: it holds no values now).
    Raises: MetricsDirectoryError, with one sentence for the operator.
    """
    _make(directory)
    _check(directory)
    with _told(directory):
        # A server lives there too where no process of it found room for a marker.
        owned = is_owned(directory)
    return _put_in_order(directory, owned)


def prepare_for_server(
    directory: Path, listening_on: str, inherited: str | None = None
) -> tuple[Ownership, int]:
    """Do the same for a web server, whose the directory is from now on.

    inherited: what the program before has handed down (see `Ownership`).
    Raises: MetricsDirectoryError, one of another server that runs among them.
    """
    _make(directory)
    _check(directory)
    with _told(directory):
        if inherited is not None:
            ownership = Ownership.inherited(inherited)
        else:
            ownership = Ownership.take(directory, listening_on)
    try:
        return ownership, _put_in_order(directory, owned=inherited is not None)
    except BaseException:
        ownership.forget()
        raise


def refuse_second(directory: Path) -> None:
    """Return where no web server of the directory runs. Raises: MetricsDirectoryInUseError."""
    with suppress(OSError):  # what else is wrong is told at the start itself
        Ownership.take(directory, "").forget()


def _put_in_order(directory: Path, owned: bool) -> int:
    with _told(directory), locks.exclusive(directory):
        listing = layout.scan(directory)
        live = sum(is_live(member.marker) for member in listing.members.values())
        live += owned and not live
        if not live:
            _clean(directory, listing)
    if live:
        _absorb(directory)
    return live


@contextmanager
def _told(directory: Path) -> Iterator[None]:
    """Tell an operator what the system says. Raises: MetricsDirectoryError."""
    try:
        yield
    except OSError as error:
        raise MetricsDirectoryError(
            f"PROMETHEUS_MULTIPROC_DIR={directory} cannot be put in order ({error.strerror}): "
            "empty it yourself or name another directory."
        ) from error


def _absorb(directory: Path) -> None:
    """Absorb what can be absorbed now: what is left counts all the same, and others try again."""
    try:
        absorb(directory)
    except (OSError, MetricsDirectoryBusyError) as error:
        _log.warning("the dead are not absorbed", extra={"why": str(error)})


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MetricsDirectoryError(
            f"PROMETHEUS_MULTIPROC_DIR={directory} cannot be made ({error.strerror}): "
            "name a directory that this user may write."
        ) from error


def _check(directory: Path) -> None:
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise MetricsDirectoryError(
            f"PROMETHEUS_MULTIPROC_DIR={directory} cannot be written by this user: "
            "change its owner or name another directory."
        )
    foreign = layout.scan(directory).foreign
    if foreign:
        shown = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise MetricsDirectoryError(
            f"PROMETHEUS_MULTIPROC_DIR={directory} holds other things ({shown}): "
            "name a directory of its own, since files in it are deleted."
        )


def _clean(directory: Path, listing: Listing) -> None:
    """Delete everything but the locks.

    The manifest goes last: until then it keeps what is left of absorbed members from counting.
    """
    paths = listing.temporary + listing.bad
    paths += [path for member in listing.members.values() for path in member.paths()]
    paths += [file.path for files in listing.archives.values() for file in files]
    paths += [path for sides in listing.archive_sides.values() for path in sides]
    # The identity goes first: who counts on by it must not find what it counted gone.
    for path in (directory / layout.IDENTITY, *paths, directory / layout.MANIFEST):
        disk.step(f"remove {path.name}")
        path.unlink(missing_ok=True)
