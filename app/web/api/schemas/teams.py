"""Bodies and queries of the team routes."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.domain.authorization import May
from app.domain.fields import LABEL, NO_NUL
from app.storage import TeamRole
from app.web.api.schemas.auth import Email
from app.web.api.schemas.pages import PageView

Id = Annotated[str, Field(max_length=64, pattern=NO_NUL)]
Name = Annotated[
    str,
    Field(
        pattern=LABEL,
        description="Lower-case letters, digits and hyphens; unique in this VibeBox.",
        examples=["payments"],
    ),
]


class NewTeam(BaseModel):
    """A new team, or a new name for one."""

    model_config = ConfigDict(extra="forbid")

    name: Name


class TeamView(BaseModel):
    """A team, as a member sees it; `role` is the caller's."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["5e9c1b7a-2d3f-4c6e-8b0a-1f2e3d4c5b6a"])
    name: str
    role: TeamRole
    may: May = Field(default_factory=list)
    created_at: datetime


class TeamPage(PageView[TeamView]):
    """A page of teams, newest first; `total` counts all that match."""


class NewMember(BaseModel):
    """Whom to add, and as what."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    role: TeamRole = Field(examples=["developer"])


class MemberRole(BaseModel):
    """What a member is to be."""

    model_config = ConfigDict(extra="forbid")

    role: TeamRole = Field(examples=["viewer"])


class MemberView(BaseModel):
    """A member of a team."""

    model_config = ConfigDict(from_attributes=True)

    user_id: str = Field(examples=["7b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"])
    email: str = Field(examples=["ada@example.org"])
    role: TeamRole
    created_at: datetime


class MemberPage(PageView[MemberView]):
    """A page of members, by address; `total` counts all."""


class TeamPath(BaseModel):
    """Which team."""

    team_id: Id


class MemberPath(BaseModel):
    """Which member of which team."""

    team_id: Id
    user_id: Id
