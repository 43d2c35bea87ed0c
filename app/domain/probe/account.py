"""The account of the synthetic user: made by its first round, and given a password by each.

Nobody knows the password but the round that has made it, nothing keeps it, and the next one makes
another. So there is none to set, to leak or to forget. An account that is not synthetic is a
person's: its password stays as it is.
"""

import secrets
from dataclasses import dataclass, field

from sqlalchemy import delete, select

from app.core.errors import ProbeAccountError, UserNotFoundError
from app.domain.accounts.administration import Administration
from app.storage import AuthToken, Database, Login

_PASSWORD_BYTES = 24


@dataclass(frozen=True)
class Credentials:
    """What the round signs in with."""

    account_id: str
    email: str
    password: str = field(repr=False)


def ready(database: Database, administration: Administration, email: str) -> Credentials:
    """Return the account with a password that is good from now on; all its logins
    have ended.

    Raises: ProbeAccountError where the address is a person's, or the account disabled;
    LimitReachedError, StorageError.
    """
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    email = email.lower()  # as accounts are written
    try:
        account = administration.get(None, administration.id_of(email))
    except UserNotFoundError:
        made = administration.create(email, password, operator=False, synthetic=True)
        return Credentials(made, email, password)
    if not account.is_synthetic:
        raise ProbeAccountError(
            f"{email} is the account of a person.",
            "Name another address in VIBEBOX_PROBE_ACCOUNT, or delete the account: "
            f"`vibebox accounts delete {email}`.",
        )
    if account.disabled_at is not None:
        raise ProbeAccountError(
            f"The account {email} is disabled.",
            f"Enable it with `vibebox accounts enable {email}`.",
        )
    administration.set_password(None, account.id, password)
    _forget_logins(database, account.id)
    return Credentials(account.id, email, password)


def _forget_logins(database: Database, account_id: str) -> None:
    """Delete the logins of rounds before: hundreds a day, which nobody will look through.

    The last one stays. By it the address is known that rounds come from, so that strangers who try
    passwords do not use up what this account may try (see `app.web.rate_limits`).
    """
    newest = Login.created_at.desc(), Login.id.desc()
    with database.writing() as session:
        last = session.scalar(
            select(Login.id).where(Login.user_id == account_id).order_by(*newest).limit(1)
        )
        session.execute(delete(AuthToken).where(AuthToken.user_id == account_id))
        session.execute(delete(Login).where(Login.user_id == account_id, Login.id != last))
