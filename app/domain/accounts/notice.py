"""What the server says at its start about who may make an account."""

import logging

from app.core.errors import StorageError
from app.core.settings import Settings
from app.domain.accounts.first_account import LIFE, Found, offer
from app.storage import Database

_CREATE = "vibebox accounts create YOU@EXAMPLE.ORG --operator"
_log = logging.getLogger(__name__)


def lines(settings: Settings, database: Database, base: str) -> list[str]:
    """Return what to print, and log the rest; `base` is where the server listens.

    Where nobody may register and there is no account, a link for the first one is made. It stands
    in no log line, from which secrets are taken out: whoever sees the output may use it.
    """
    if settings.registration_mode == "open":
        if settings.registration is None and settings.trusted_proxies > 0:
            _log.warning("anybody behind the proxy may register", extra={"setting": _SETTING})
        return []
    try:
        found = offer(database)
    except StorageError as error:
        _log.warning("accounts not looked at", extra={"why": error.detail})
        return []
    if found.accounts and settings.registration is None:
        why = f"HOST is {settings.host}, which others reach; accounts are made by `{_CREATE[:23]}`"
        _log.warning("registration is closed", extra={"why": why, "setting": _SETTING})
    return [] if found.accounts else _first(found, base)


_SETTING = "VIBEBOX_REGISTRATION=open, invited or closed"


def _first(found: Found, base: str) -> list[str]:
    if found.made is None:
        until = f"{found.made_before:%Y-%m-%d %H:%M} UTC" if found.made_before else "its end"
        return [
            f"VibeBox has no account yet. A link to make the first one is out until {until};",
            f"so does this:  {_CREATE}",
        ]
    hours = int(LIFE.total_seconds() // 3600)
    return [
        "VibeBox has no account yet, and nobody may register. Make the first one, an operator,",
        f"once and within {hours} hours, at this address or whatever you reach this host by:",
        f"  {_in_a_browser(base)}{found.made.path}",
        f"or here:  {_CREATE}",
    ]


def _in_a_browser(base: str) -> str:
    """Return an address that a browser on this host can open: no wildcard, no path of a socket."""
    if base.startswith("unix:"):
        return "http://localhost"
    return base.replace("//0.0.0.0:", "//localhost:").replace("//[::]:", "//localhost:")
