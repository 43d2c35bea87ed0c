"""Encryption of secret environment variables (Fernet), with keys that can be changed.

The first key encrypts, all decrypt: an operator puts a new key in front, runs `vibebox secrets
rotate`, and then leaves the old one out. Neither keys nor values stand in any error or log line.
"""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from app.core.errors import SecretsNotSetUpError, SecretsUnavailableError


def new_key() -> str:
    """Return a fresh random key."""
    return Fernet.generate_key().decode()


def split_keys(keys: str) -> list[Fernet]:
    """Return the keys of the setting. Raises: ValueError, which does not show them."""
    parts = [key.strip() for key in keys.split(",")]
    try:
        return [Fernet(key) for key in parts]
    except ValueError:
        raise ValueError(
            "must be keys as `vibebox secrets new-key` prints them, separated by commas"
        ) from None


class SecretValues:
    """Encrypts and decrypts; without keys every use is refused."""

    def __init__(self, keys: SecretStr | None) -> None:
        self._keys = split_keys(keys.get_secret_value()) if keys is not None else []

    def encrypt(self, value: str) -> str:
        """Return the value as it may be stored. Raises: SecretsNotSetUpError without keys."""
        if not self._keys:
            raise SecretsNotSetUpError
        return self._first().encrypt(value.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return a stored value. Raises: SecretsUnavailableError where no key fits."""
        self._first()
        try:
            return MultiFernet(self._keys).decrypt(token).decode()
        except InvalidToken:
            raise SecretsUnavailableError(
                "A secret of this environment cannot be decrypted with the operator's keys; the "
                "operator adds the key it was encrypted with, or you set the secret again."
            ) from None

    def renew(self, token: str) -> str | None:
        """Return the token encrypted with the first key; None where it is already.

        Raises: SecretsUnavailableError where no key fits.
        """
        try:
            self._first().decrypt(token)
        except InvalidToken:
            return self.encrypt(self.decrypt(token))
        return None

    def _first(self) -> Fernet:
        if not self._keys:
            raise SecretsUnavailableError
        return self._keys[0]
