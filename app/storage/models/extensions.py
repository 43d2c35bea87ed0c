"""Extensions of the VS Code server, as environments are meant to have them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.models.base import Base, choice, new_id, utc_now


class ExtensionState(StrEnum):
    """How far the agent is with an extension."""

    PENDING = "pending"  # waits for the agent, or for its environment to run
    INSTALLING = "installing"
    INSTALLED = "installed"
    FAILED = "failed"  # `output` says why
    UNINSTALLING = "uninstalling"  # waits to be removed; the row goes with it


class Extension(Base):
    """An extension that an environment is to have, in whatever container it has.

    Attributes: name (publisher.name, in lower case); container_id (the container it was last
    installed in, or tried to be); exit_code and output (of the command that did that).
    """

    __tablename__ = "extensions"
    __table_args__ = (
        UniqueConstraint("environment_id", "name"),
        Index(None, "environment_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    name: Mapped[str] = mapped_column(String(200))
    version: Mapped[str | None] = mapped_column(String(64))
    uploaded: Mapped[bool] = mapped_column(default=False)
    state: Mapped[ExtensionState] = mapped_column(
        choice(ExtensionState, "state"), default=ExtensionState.PENDING, index=True
    )
    container_id: Mapped[str | None] = mapped_column(String(64))
    exit_code: Mapped[int | None]
    output: Mapped[str | None] = mapped_column(Text)
    # Of the request that asks for it, until that is done.
    traceparent: Mapped[str | None] = mapped_column(String(55))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)


class ExtensionPackage(Base):
    """The .vsix of an uploaded extension; apart, so that lists never read it."""

    __tablename__ = "extension_packages"

    extension_id: Mapped[str] = mapped_column(
        ForeignKey("extensions.id", ondelete="CASCADE"), primary_key=True
    )
    content: Mapped[bytes] = mapped_column(LargeBinary)
