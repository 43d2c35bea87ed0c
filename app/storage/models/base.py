"""What all tables share: types of columns, the naming of constraints, identifiers and moments."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    Integer,
    MetaData,
    String,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase

# SQLite numbers rows by itself only in a column that it calls INTEGER, which has 64 bits there.
Serial = BigInteger().with_variant(Integer, "sqlite")


def utc_now() -> datetime:
    """Return the present moment, aware of its zone."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return a random identifier: 36 characters that reveal nothing, not even an order."""
    return str(uuid4())


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, aware of its zone also where the database (SQLite) keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a zone: guessing it would be wrong on some machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use an aware datetime such as utc_now()")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back UTC, whatever zone the database session has."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class LowerCase(TypeDecorator[str]):
    """Text in lower case, both when stored and when compared with the column."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Fold what goes to the database; what comes from it is folded already."""
        return None if value is None else value.lower()


def choice(choices: type[StrEnum], name: str) -> Enum:
    """A column that holds one of `choices`, guarded by a CHECK instead of a native type.

    Adding a value to PostgreSQL's own enumeration type cannot be undone by a migration.
    """
    return Enum(
        choices,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


class Seen:
    """A row that is shown to people, each of whom may do something else to it.

    `caller_role` is what whoever asked is to it: set by `app.domain.authorization`, stored nowhere.
    """

    if TYPE_CHECKING:
        caller_role: str | None
    else:
        caller_role = None


class Base(DeclarativeBase):
    """What all models share."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime}
