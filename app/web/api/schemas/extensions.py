"""Bodies, queries and answers of the extension routes."""

from datetime import datetime

from flask_openapi3 import RawModel
from pydantic import BaseModel, ConfigDict, Field

from app.core.sentences import described
from app.domain.extensions.packages import REFERENCE
from app.domain.fields import NO_NUL
from app.storage import ExtensionState
from app.web.api.schemas.environments import EnvironmentPath
from app.web.api.schemas.pages import PageView


class NewExtension(BaseModel):
    """What to install."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(
        pattern=described(
            REFERENCE, "Name it as publisher.name, or as publisher.name@version; see its page."
        ),
        max_length=256,
        description="publisher.name, and @version where the newest one will not do.",
        examples=["ms-python.python"],
    )


class Package(RawModel):
    """A .vsix, as it is."""

    mimetypes = ["application/octet-stream"]  # noqa: RUF012  # how flask-openapi3 reads it


class ExtensionPath(EnvironmentPath):
    """Which extension of which environment."""

    extension_id: str = Field(max_length=64, pattern=NO_NUL)


class ExtensionQuery(BaseModel):
    """Which page, of extensions in which state."""

    state: ExtensionState | None = None
    limit: int = Field(default=20, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=2**31)


class ExtensionView(BaseModel):
    """An extension, as whoever sees its environment does."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"])
    environment_id: str
    user_id: str | None = Field(description="Who asked for it.")
    name: str = Field(description="publisher.name.", examples=["ms-python.python"])
    version: str | None = Field(description="The one asked for; null: the newest.")
    uploaded: bool = Field(description="Whether it came as a .vsix.")
    state: ExtensionState = Field(
        description="pending until the environment runs and the agent comes to it."
    )
    exit_code: int | None = Field(description="Of the command that installed or removed it.")
    output: str | None = Field(description="What that command wrote, or why it could not run.")
    created_at: datetime
    changed_at: datetime


class ExtensionPageView(PageView[ExtensionView]):
    """A page of extensions, oldest first; `total` counts all that match."""
