"""Accounts on both databases, with passwords that cost nothing."""

import pytest

from app.accounts.passwords import Passwords
from app.accounts.service import Accounts
from app.storage import Database
from tests.storage.conftest import database, empty_database, url
from tests.unit.support import PASSWORD

__all__ = ["accounts", "database", "empty_database", "url"]
EMAIL = "ada@example.org"


@pytest.fixture
def accounts(database: Database) -> Accounts:
    """The rules of accounts, with the account of Ada."""
    cheap = Passwords(time_cost=1, memory_kib=8)
    accounts = Accounts(database, cheap, access_ttl=60, refresh_ttl=600)
    accounts.register(EMAIL, PASSWORD)
    return accounts
