"""Password hashes (argon2id, RFC 9106)."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


class Passwords:
    """Hashes and verifies passwords; the costs are settings, memory in KiB."""

    def __init__(self, *, time_cost: int, memory_kib: int) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._nobody: str | None = None

    def hash(self, password: str) -> str:
        """Return a salted hash of the password."""
        return self._hasher.hash(password)

    def verify(self, hashed: str | None, password: str) -> bool:
        """Tell whether the password fits the hash.

        None stands for an account that does not exist: the same work is done, so that the time of
        the answer does not tell which addresses have an account.
        """
        if self._nobody is None:
            self._nobody = self._hasher.hash("no account has this password")
        try:
            self._hasher.verify(self._nobody if hashed is None else hashed, password)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    def outdated(self, hashed: str) -> bool:
        """Tell whether the hash was made at other costs than today's."""
        return self._hasher.check_needs_rehash(hashed)
