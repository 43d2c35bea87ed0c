"""The services of accounts, from the settings."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.core.settings import Settings
from app.domain.accounts.administration import Administration
from app.domain.accounts.invitations import Invitations
from app.domain.accounts.keys import ApiKeys
from app.domain.accounts.own import Own
from app.domain.accounts.passwords import Passwords, turns
from app.domain.accounts.registration import Mode, Registration
from app.domain.accounts.service import Accounts
from app.storage import Database


@dataclass(frozen=True)
class Parts:
    """The services of accounts; they hash passwords in one place."""

    accounts: Accounts
    own: Own
    registration: Registration
    invitations: Invitations
    administration: Administration
    api_keys: ApiKeys


def build(
    settings: Settings,
    database: Database,
    check_room: Callable[[Session], None],
    cores: float,
    address: Callable[[], str | None],
) -> Parts:
    """Return the services of accounts; `check_room` is asked before an account is made.

    `cores` are those that all workers together may use; `address` tells whose request is served,
    so that no client takes the hashing of all.
    """
    passwords = Passwords(
        time_cost=settings.argon2_time_cost,
        memory_kib=settings.argon2_memory_kib,
        turns=turns(cores, settings.web_concurrency, settings.threads),
        address=address,
    )
    mode = Mode(settings.registration_mode)
    return Parts(
        accounts=Accounts(
            database,
            passwords,
            access_ttl=settings.access_token_ttl,
            refresh_ttl=settings.refresh_token_ttl,
        ),
        own=Own(database, passwords),
        registration=Registration(database, passwords, mode, check_room, settings.probe_account),
        invitations=Invitations(database, closed=mode is Mode.CLOSED),
        administration=Administration(database, passwords, check_room),
        api_keys=ApiKeys(database),
    )
