"""The tables, as typed models.

A change here needs a migration beside it; a test holds the two equal. Constraints are named by one
convention, because a migration can only drop what has a known name.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import uuid4

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class EnvironmentStatus(StrEnum):
    """What an environment is doing; changed by compare-and-swap only."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"
    ERROR = "error"


class TokenKind(StrEnum):
    """What a token is good for: calling the API, or getting the next pair of tokens."""

    ACCESS = "access"
    REFRESH = "refresh"


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


def _choice(choices: type[StrEnum], name: str) -> Enum:
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


class User(Base):
    """An account."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(LowerCase(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_authenticated_at: Mapped[datetime | None] = mapped_column(index=True)


class AuthToken(Base):
    """A token that was handed out; only its digest is kept.

    One login is one grant. Its refresh tokens replace one another, and presenting a used one again
    gives the whole grant away as stolen.
    """

    __tablename__ = "auth_tokens"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    grant_id: Mapped[str] = mapped_column(String(36), index=True)
    kind: Mapped[TokenKind] = mapped_column(_choice(TokenKind, "kind"))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    # Never loaded behind the caller's back: ask for it with joinedload().
    user: Mapped[User] = relationship(lazy="raise")


class Environment(Base):
    """A development environment, whether or not it has a container at the moment."""

    __tablename__ = "environments"
    __table_args__ = (
        UniqueConstraint("owner_id", "name"),
        # Listing one owner's environments page by page; it also serves the foreign key.
        Index(None, "owner_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(63))
    image: Mapped[str] = mapped_column(String(255))
    status: Mapped[EnvironmentStatus] = mapped_column(
        _choice(EnvironmentStatus, "status"), default=EnvironmentStatus.STOPPED, index=True
    )
    status_changed_at: Mapped[datetime] = mapped_column(default=utc_now)
    error: Mapped[str | None] = mapped_column(Text)
    env: Mapped[dict[str, str]] = mapped_column(MutableDict.as_mutable(JSON()), default=dict)
    ports: Mapped[list[Any]] = mapped_column(MutableList.as_mutable(JSON()), default=list)
    # Where Docker published them at the last start; empty while the environment is not running.
    published_ports: Mapped[list[Any]] = mapped_column(MutableList.as_mutable(JSON()), default=list)
    cpu_limit: Mapped[float] = mapped_column(Double)
    memory_limit_mb: Mapped[int]
    container_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)

    owner: Mapped[User] = relationship(lazy="raise")
