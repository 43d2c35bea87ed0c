"""The query and the page of the audit route."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.domain.fields import NO_NUL, Moment

_Text = Annotated[str, Field(max_length=254, pattern=NO_NUL)]


class AuditQuery(BaseModel):
    """Which entries; `cursor` is that of the page before."""

    team_id: _Text | None = None
    project_id: _Text | None = None
    actor: _Text | None = Field(default=None, description="E-mail address of who did it.")
    action: _Text | None = Field(default=None, description="Such as environment.start.")
    since: Moment | None = None
    until: Moment | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: int | None = Field(default=None, ge=1, le=2**63 - 1)


class AuditView(BaseModel):
    """One change: who made it, of what, from where."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    actor: str = Field(
        description="E-mail address, or `vibebox` for the service itself.",
        examples=["ada@example.org"],
    )
    actor_id: str | None
    api_key_id: str | None
    action: str = Field(examples=["environment.start"])
    target_kind: str = Field(examples=["environment"])
    target_id: str | None
    target_name: str | None
    project_id: str | None
    team_id: str | None
    address: str | None = Field(examples=["192.0.2.7"])
    request_id: str | None
    details: dict[str, Any]


class AuditPage(BaseModel):
    """Entries, newest first; `cursor` asks for the next page, null on the last one."""

    items: list[AuditView]
    cursor: int | None
