"""Accounts: who may use the service, and the tokens with which they do."""

from app.accounts.attempts import Attempts
from app.accounts.key_routes import api as keys_api
from app.accounts.keys import ApiKeys
from app.accounts.passwords import Passwords
from app.accounts.routes import api
from app.accounts.service import Accounts
from app.settings import Settings
from app.storage import Database

__all__ = ["ApiKeys", "Attempts", "api", "build", "keys_api"]


def build(settings: Settings, database: Database) -> Accounts:
    """Return the service of accounts."""
    passwords = Passwords(
        time_cost=settings.argon2_time_cost, memory_kib=settings.argon2_memory_kib
    )
    return Accounts(
        database,
        passwords,
        access_ttl=settings.access_token_ttl,
        refresh_ttl=settings.refresh_token_ttl,
    )
