"""What the client proves with who it is: an API key, or a login whose tokens it renews.

A refresh token works once, and a second use revokes the login. So it is used under the lock of the
store, by whoever finds there that nobody has used it yet, and nothing interrupts that.
"""

import time
from typing import Any, Protocol

from app.cli.client.errors import ProblemError, RefusedError
from app.cli.client.interrupts import held_back
from app.cli.client.store import Login, Store
from app.cli.client.transport import Transport

_LEEWAY_SECONDS = 20.0
"""An access token that ends sooner is renewed first: requests take their time too."""


class Bearer(Protocol):
    """Gives the token of each request."""

    def token(self, life: float = _LEEWAY_SECONDS) -> str:
        """Return a token that is good for so many seconds, where that is known."""

    def renewed(self, refused: str) -> str | None:
        """Return another token than the one that was refused; None where there is none."""


class KeyBearer:
    """A token that the environment gave."""

    def __init__(self, key: str) -> None:
        self._key = key

    def token(self, life: float = _LEEWAY_SECONDS) -> str:
        return self._key

    def renewed(self, refused: str) -> str | None:
        return None


class LoginBearer:
    """The stored login at the address of `transport`."""

    def __init__(self, store: Store, transport: Transport, *, trust_expiry: bool = True) -> None:
        """`trust_expiry`: renew a token when it must have ended, before the service says so."""
        self._store = store
        self._transport = transport
        self._trust_expiry = trust_expiry

    def token(self, life: float = _LEEWAY_SECONDS) -> str:
        """Raises: RefusedError where nobody is logged in, and what renewing raises."""
        login = self._login()
        if self._trust_expiry and login.expires_at - time.time() < life:
            return self._renew(login.access_token)
        return login.access_token

    def renewed(self, refused: str) -> str | None:
        """Raises: what renewing raises."""
        return self._renew(refused)

    def _renew(self, old: str) -> str:
        """Return the access token that follows `old`, which another command may have got.

        Raises: RefusedError where the login is over, UnreachableError.
        """
        with self._store.locked():
            login = self._login()
            if login.access_token != old:
                return login.access_token
            # An interrupt between the trade of tokens and their storing would cost the login.
            with held_back():
                pair = self._traded(login)
                self._store.put(self._transport.url, login_of(login.email, pair))
            return str(pair["access_token"])

    def _traded(self, login: Login) -> dict[str, Any]:
        body = {"refresh_token": login.refresh_token}
        try:
            pair: dict[str, Any] = self._transport.send("POST", "/auth/refresh", body=body)
        except ProblemError as error:
            if error.slug != "invalid-token":
                raise
            raise RefusedError(
                f"Your login at {self._transport.url} is over.", "Run `vibebox login`."
            ) from error
        return pair

    def _login(self) -> Login:
        login = self._store.get(self._transport.url)
        if login is None:
            raise RefusedError(
                f"You are not logged in at {self._transport.url}.",
                "Run `vibebox login`, or set VIBEBOX_TOKEN to an API key.",
            )
        return login


def login_of(email: str, pair: dict[str, Any]) -> Login:
    """Return what is stored of the tokens that the service gave just now."""
    ends_at = time.time() + float(pair["expires_in"])
    return Login(email, pair["access_token"], pair["refresh_token"], ends_at)
