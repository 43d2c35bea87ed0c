"""Bodies and queries of the project routes."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.domain.authorization import May
from app.domain.fields import LABEL, NO_NUL
from app.web.api.schemas.pages import PageQuery, PageView

Id = Annotated[str, Field(max_length=64, pattern=NO_NUL)]
Name = Annotated[
    str,
    Field(
        pattern=LABEL,
        description="Lower-case letters, digits and hyphens; unique among the owner's.",
        examples=["billing"],
    ),
]


class NewProject(BaseModel):
    """A new project, of a team or of one's own."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    team_id: Id | None = Field(default=None, description="Default: the project is your own.")


class ProjectChanges(BaseModel):
    """The new name of a project."""

    model_config = ConfigDict(extra="forbid")

    name: Name


class ProjectView(BaseModel):
    """A project; its owner is an account or a team, the other of the two is null."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["b0f3f5c4-6f0e-4a25-9a55-0d5a2e6c8f21"])
    name: str
    owner_user_id: str | None
    owner_team_id: str | None
    may: May = Field(default_factory=list)
    created_at: datetime


class ProjectPage(PageView[ProjectView]):
    """A page of projects, newest first; `total` counts all that match."""


class ProjectPath(BaseModel):
    """Which project."""

    project_id: Id


class ProjectQuery(PageQuery):
    """Which page of which projects."""

    team_id: Id | None = None
