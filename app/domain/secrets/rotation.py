"""Re-encrypts stored secrets with the first key, so that an old key can be left out."""

from dataclasses import dataclass, field

from sqlalchemy import select, update

from app.core.errors import SecretsUnavailableError
from app.domain.secrets.values import SecretValues
from app.storage import Database, Environment

# One transaction each: on SQLite it holds the one write lock.
BATCH = 100


@dataclass
class Rotation:
    """What a rotation came to; `unreadable` are the ids of environments that no key fits."""

    renewed: int = 0
    current: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate(database: Database, secret_values: SecretValues) -> Rotation:
    """Re-encrypt what is not encrypted with the first key; doing it again changes nothing.

    Raises: SecretsUnavailableError without keys, StorageUnavailableError.
    """
    secret_values.encrypt("")  # refuses at once where there are no keys
    result = Rotation()
    last: str | None = ""
    while last is not None:
        last = _rotate_batch(database, secret_values, last, result)
    return result


def _rotate_batch(
    database: Database, secret_values: SecretValues, after: str, result: Rotation
) -> str | None:
    """Go through the environments behind `after`; return the last one, None at the end."""
    batch = (
        select(Environment.id, Environment.secrets)
        .where(Environment.id > after)
        .order_by(Environment.id)
        .limit(BATCH)
        .with_for_update()
    )
    last = None
    with database.writing() as session:
        for last, secrets in session.execute(batch).all():
            renewed = _renewed(secret_values, last, secrets, result)
            if renewed != secrets:
                session.execute(
                    update(Environment)
                    .where(Environment.id == last)
                    # What its users see has not changed.
                    .values(secrets=renewed, updated_at=Environment.updated_at)
                )
    return last


def _renewed(
    secret_values: SecretValues, identity: str, secrets: dict[str, str], result: Rotation
) -> dict[str, str]:
    renewed = dict(secrets)
    for name, token in secrets.items():
        try:
            fresh = secret_values.renew(token)
        except SecretsUnavailableError:
            if identity not in result.unreadable:
                result.unreadable.append(identity)
            continue
        if fresh is None:
            result.current += 1
        else:
            result.renewed += 1
            renewed[name] = fresh
    return renewed
