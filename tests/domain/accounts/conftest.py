"""Accounts on both databases, with passwords that cost nothing."""

import pytest

from app.domain.accounts.passwords import Passwords
from app.domain.accounts.registration import Mode, Registration
from app.domain.accounts.service import Accounts
from app.domain.quotas.checks import Checks, Limits
from app.storage import Database
from tests.storage.conftest import database, empty_database, url
from tests.support.checks import PASSWORD

__all__ = ["CHEAP", "EMAIL", "ROOM", "accounts", "database", "empty_database", "sign_up", "url"]
EMAIL = "ada@example.org"
CHEAP = Passwords(time_cost=1, memory_kib=8)
ROOM = Checks(Limits(1, 1, 1), Limits(1, 1, 1), teams=1, accounts=1000).check_account


@pytest.fixture
def accounts(database: Database) -> Accounts:
    """The rules of accounts, with the account of Ada."""
    sign_up(database, EMAIL)
    return Accounts(database, CHEAP, access_ttl=60, refresh_ttl=600)


def sign_up(database: Database, email: str) -> None:
    """Make an account."""
    Registration(database, CHEAP, Mode.OPEN, ROOM).register(email, PASSWORD)
