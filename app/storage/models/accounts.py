"""Who uses VibeBox, by which credentials, and in which teams and projects."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.storage.models.base import Base, LowerCase, Seen, choice, new_id, utc_now


class TokenKind(StrEnum):
    """What a token is good for: calling the API, or getting the next pair of tokens."""

    ACCESS = "access"
    REFRESH = "refresh"


class LoginKind(StrEnum):
    """Where a login's refresh token is good."""

    API = "api"  # at POST /api/v1/auth/refresh
    CONSOLE = "console"  # at the console's own route, together with the page's secret


class EndReason(StrEnum):
    """Why a credential is good no more; a login's own reasons are kept with it."""

    LOGOUT = "logout"
    ENDED = "ended"  # by its owner, in the list of logins
    REUSE = "reuse"  # a refresh token of it was used a second time
    PASSWORD = "password"  # its account's password was changed or set anew
    SURPLUS = "surplus"  # its account opened many others since it was used
    DISABLED = "disabled"
    DELETED = "deleted"
    EXPIRED = "expired"
    REVOKED = "revoked"  # of an API key


class TeamRole(StrEnum):
    """What a member may do in a team; `app.domain.authorization` says what that is."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class _Quota:
    """What an account or a team may use; None stands for the setting's default."""

    max_environments: Mapped[int | None]
    max_cpus: Mapped[float | None] = mapped_column(Double)
    max_memory_mb: Mapped[int | None]
    # In a month.
    max_cpu_hours: Mapped[float | None] = mapped_column(Double)
    max_memory_gib_hours: Mapped[float | None] = mapped_column(Double)


class User(_Quota, Base):
    """An account; an operator of the service may read its audit log and set quotas."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(LowerCase(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_operator: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    # Of any kind; renewed every few minutes at most, so that a request does not cost a write.
    last_authenticated_at: Mapped[datetime | None] = mapped_column(index=True)
    # While it is set, no credential of the account is good.
    disabled_at: Mapped[datetime | None]
    # Nobody's: a program that watches the service. Given when it is made, and never taken away.
    is_synthetic: Mapped[bool] = mapped_column(default=False, server_default=false())


class Login(Base):
    """A login: what one sign-in opened, and what its tokens belong to.

    Tokens of a release that did not know this table may have no row here until they are renewed.

    Attributes: id (the `grant_id` of its tokens); kind (None: from before this table, of which
    nobody knows whether a console or a program holds it); last_used_at (to the life of an access
    token); address and user_agent (who used its refresh token last, at first whoever signed in);
    end_reason (an `EndReason`); console_digest (of the secret that the console's page keeps).
    """

    __tablename__ = "logins"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_used_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    address: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(200))
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    end_reason: Mapped[str | None] = mapped_column(String(16))
    console_digest: Mapped[str | None] = mapped_column(String(64))


class AuthToken(Base):
    """A token that was handed out; only its digest is kept.

    One login is one grant. Its refresh tokens replace one another, and presenting a used one again
    gives the whole grant away as stolen.
    """

    __tablename__ = "auth_tokens"
    __table_args__ = (
        # Whether a release that knows no logins has ended one: few rows among many of a grant.
        Index(
            "ix_auth_tokens_revoked",
            "grant_id",
            sqlite_where=text("revoked_at IS NOT NULL"),
            postgresql_where=text("revoked_at IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    grant_id: Mapped[str] = mapped_column(String(36), index=True)
    kind: Mapped[TokenKind] = mapped_column(choice(TokenKind, "kind"))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    # Never loaded behind the caller's back: ask for it with joinedload().
    user: Mapped[User] = relationship(lazy="raise")


class ApiKey(Base):
    """A long-lived credential of an account for programs; only its digest is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(63))
    # The beginning of the key, by which its owner tells it from others.
    prefix: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[Any]] = mapped_column(JSON())
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Invitation(Base):
    """A link with which one account can be made, once; only the digest of its secret is kept.

    Attributes: email (the one address that may use it; None: any); operator (whether its account
    becomes an operator); created_by (None: the service itself, or its command line).
    """

    __tablename__ = "invitations"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    email: Mapped[str | None] = mapped_column(LowerCase(254))
    operator: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_by: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    used_by: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    revoked_at: Mapped[datetime | None]


class Team(_Quota, Base):
    """People who share projects."""

    __tablename__ = "teams"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(LowerCase(63), unique=True)
    # The account that the team counts against, by the quotas' checks. No key: it may be gone.
    created_by: Mapped[str | None] = mapped_column(String(36), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Membership(Base):
    """Who is in which team, and as what."""

    __tablename__ = "memberships"

    team_id: Mapped[str] = mapped_column(
        ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[TeamRole] = mapped_column(choice(TeamRole, "role"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Project(Seen, Base):
    """What environments belong to; owned by one account or by one team."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("owner_user_id", "name"),
        UniqueConstraint("owner_team_id", "name"),
        CheckConstraint("(owner_user_id IS NULL) <> (owner_team_id IS NULL)", name="one_owner"),
        Index(None, "owner_team_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(63))
    owner_user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    owner_team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
