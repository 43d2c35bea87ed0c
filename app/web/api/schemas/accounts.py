"""Bodies of what operators do to accounts."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.fields import NO_NUL, Moment
from app.web.api.schemas.auth import Body, Email, Password
from app.web.api.schemas.pages import PageQuery, PageView


class AccountView(BaseModel):
    """An account, as operators see it."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["7b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"])
    email: str = Field(examples=["ada@example.org"])
    is_operator: bool
    is_synthetic: bool = Field(
        description="Whether it is nobody's, but a program's that watches the service: it is left "
        "out where accounts, their use and their requests are counted."
    )
    created_at: datetime
    last_authenticated_at: datetime | None = Field(description="To five minutes.")
    disabled_at: datetime | None = Field(description="Since when it cannot be used; null: it can.")
    environments: int = Field(description="Environments in its own projects.", examples=[3])


class AccountPage(PageView[AccountView]):
    """Accounts, newest first."""


class AccountQuery(PageQuery):
    """Which accounts."""

    search: str | None = Field(
        default=None, max_length=254, pattern=NO_NUL, description="A part of the e-mail address."
    )


class AccountPath(BaseModel):
    """Which account."""

    account_id: str = Field(max_length=64, pattern=NO_NUL)


class Deletion(BaseModel):
    """Who gets what the account would leave behind."""

    transfer_to: str | None = Field(
        default=None,
        max_length=64,
        pattern=NO_NUL,
        description="The id of the account that gets its environments, and its place as the only "
        "admin of teams.",
    )


class NewPassword(Body):
    """Another password of an account."""

    password: Password


class NewInvitation(Body):
    """Whom to invite; all may be left out."""

    email: Email | None = Field(default=None, description="Who alone may use it; null: anybody.")
    expires_at: Moment | None = Field(
        default=None,
        description="Default: in 7 days; at most in 90.",
    )


class CreatedInvitation(BaseModel):
    """An invitation with its secret, which is not shown again."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["9d1f6c5e-8a2b-4f0d-9e7c-6b5a4d3c2b1a"])
    token: str = Field(examples=["vbx_in_…"])
    path: str = Field(
        description="The link, to put behind the address of this service.",
        examples=["/sign-in#invitation=vbx_in_…"],
    )
    expires_at: datetime


class InvitationView(BaseModel):
    """An invitation, as operators see it; addresses of who made and who used it."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["9d1f6c5e-8a2b-4f0d-9e7c-6b5a4d3c2b1a"])
    email: str | None
    operator: bool = Field(description="Whether its account becomes an operator.")
    state: Literal["open", "used", "revoked", "expired"]
    created_at: datetime
    expires_at: datetime
    created_by: str | None = Field(description="null: the command line, or an account since gone.")
    used_by: str | None


class InvitationPage(PageView[InvitationView]):
    """Invitations, newest first."""


class InvitationPath(BaseModel):
    """Which invitation."""

    invitation_id: str = Field(max_length=64, pattern=NO_NUL)
