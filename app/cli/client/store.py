"""The credentials of a user, by the address of the service: one file that only its owner reads.

It is replaced as a whole, so that a reader sees the old or the new one, and changed under a lock
beside it, so that of two commands neither undoes what the other wrote.
"""

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.cli.client.errors import ClientError

LOCK_SECONDS = 30.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Login:
    """The tokens of a login; the access token ends at `expires_at`, by this machine's clock."""

    email: str
    access_token: str
    refresh_token: str
    expires_at: float


def directory() -> Path:
    """Return where a user's configuration of VibeBox is kept."""
    # Relative values are to be ignored, says the specification of these directories.
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "vibebox"


class Store:
    """The file of credentials."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or directory()
        self.file = self._folder / "credentials.json"

    def get(self, url: str) -> Login | None:
        """Return the login at an address. Raises: ClientError where the file is not usable."""
        found = self._read().get(url)
        try:
            return None if found is None else Login(**found)
        except TypeError:
            raise self._unusable("it is not what `vibebox login` writes") from None

    def put(self, url: str, login: Login | None) -> None:
        """Keep a login, or forget it; only inside `locked`. Raises: ClientError."""
        content = self._read()
        if login is None:
            content.pop(url, None)
        else:
            content[url] = asdict(login)
        try:
            self._replace(json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error

    @contextlib.contextmanager
    def locked(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Keep other commands from changing the file. Raises: ClientError after `seconds`."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / "credentials.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error
        try:
            self._await(lock, seconds)
            yield
        finally:
            os.close(lock)  # and with it the lock is given back

    def _await(self, lock: int, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > ends_at:
                    raise ClientError(
                        f"Another command has held {self.file} for {seconds:g} seconds.",
                        "End it, then try again.",
                    ) from None
                time.sleep(_LOOK_SECONDS)
            else:
                return

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.file.read_text())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error
        except ValueError:
            raise self._unusable("it is not JSON") from None
        if not isinstance(content, dict):
            raise self._unusable("it is not what `vibebox login` writes")
        return content

    def _replace(self, text: str) -> None:
        # mkstemp makes files of mode 0600 from the start.
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=".credentials-")
        try:
            with open(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    def _unusable(self, reason: str) -> ClientError:
        return ClientError(
            f"{self.file} cannot be used: {reason}.",
            "Mend or remove it, then run `vibebox login`; or set VIBEBOX_TOKEN to an API key.",
        )
