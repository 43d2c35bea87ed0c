"""Bodies of the account routes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.core.patterns import EMAIL
from app.domain.authorization import May, Scope
from app.domain.fields import NO_NUL, Moment
from app.web.api.schemas.pages import PageView

Email = Annotated[str, Field(max_length=254, pattern=EMAIL, examples=["ada@example.org"])]


class Body(BaseModel):
    """A body that holds nothing but its fields."""

    model_config = ConfigDict(extra="forbid")


Password = Annotated[str, Field(min_length=12, max_length=256, examples=["correct horse battery"])]


class Registration(Body):
    """A new account; where registration is not open it takes an invitation."""

    email: Email
    password: Password
    invitation: str | None = Field(default=None, max_length=256, examples=["vbx_in_…"])


class RegistrationView(BaseModel):
    """Who may make an account here."""

    mode: Literal["open", "invited", "closed"] = Field(
        description="open: everybody; invited: who has a link of an operator; closed: accounts are "
        "made by operators, at the command line."
    )


class PasswordChange(Body):
    """Another password of one's own account."""

    old_password: str = Field(max_length=256, examples=["correct horse battery"])
    new_password: Password


class LoginView(BaseModel):
    """A login of one's own account."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["2c1f6c5e-8a2b-4f0d-9e7c-6b5a4d3c2b1a"])
    kind: Literal["api", "console"] | None = Field(
        description="Where it was opened; null: by a release that did not write it down."
    )
    created_at: datetime
    last_used_at: datetime = Field(description="To the life of an access token.")
    expires_at: datetime = Field(description="When it ends unless it is used before.")
    address: str | None = Field(examples=["192.0.2.7"])
    user_agent: str | None = Field(examples=["Mozilla/5.0 (X11; Linux x86_64)"])
    current: bool = Field(description="Whether it is the one that asks.")


class LoginPage(PageView[LoginView]):
    """Logins that have not ended, last used first."""


class LoginPath(BaseModel):
    """Which login."""

    login_id: str = Field(max_length=64, pattern=NO_NUL)


class Credentials(Body):
    """E-mail address and password of an account."""

    email: Email
    password: str = Field(max_length=256, examples=["correct horse battery"])


class RefreshToken(Body):
    """A refresh token; it can be used once."""

    refresh_token: str = Field(max_length=256, examples=["vbx_rt_…"])


class PageSecret(Body):
    """What the console's page keeps of its login; null where it keeps nothing yet."""

    page_secret: str | None = Field(max_length=256)


class Tokens(BaseModel):
    """A login: a short access token, and a refresh token that gives the next pair."""

    model_config = ConfigDict(from_attributes=True)

    access_token: str = Field(examples=["vbx_at_…"])
    refresh_token: str = Field(examples=["vbx_rt_…"])
    token_type: str = "Bearer"
    expires_in: int = Field(description="Seconds that the access token is valid.", examples=[900])


class UserView(BaseModel):
    """An account, as its owner sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["7b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"])
    email: str = Field(examples=["ada@example.org"])
    created_at: datetime


class CallerView(UserView):
    """The account that asks."""

    is_operator: bool = Field(default=False, description="Whether it looks after the service.")
    may: May = Field(default_factory=list)


def _not_unique(schema: dict[str, Any]) -> None:
    del schema["uniqueItems"]


class NewApiKey(Body):
    """What an API key may do, and how long; without expires_at it is valid until it is revoked."""

    name: str = Field(min_length=1, max_length=63, pattern=NO_NUL, examples=["ci"])
    scopes: set[Scope] = Field(
        min_length=1,
        examples=[["read", "execute"]],
        # One that is named twice is as good as once.
        json_schema_extra=_not_unique,
    )
    expires_at: Moment | None = Field(default=None, examples=["2030-01-01T00:00:00Z"])


class ApiKeyView(BaseModel):
    """An API key, as its owner sees it; `prefix` is how the key begins."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["3d1f6c5e-8a2b-4f0d-9e7c-6b5a4d3c2b1a"])
    name: str
    prefix: str = Field(examples=["vbx_ak_x1Y2z"])
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class CreatedApiKey(ApiKeyView):
    """A new API key with the key itself, which is not shown again."""

    key: str = Field(examples=["vbx_ak_…"])


class ApiKeyList(BaseModel):
    """All API keys of an account."""

    items: list[ApiKeyView]


class ApiKeyPath(BaseModel):
    """Which API key."""

    api_key_id: str = Field(max_length=64, pattern=NO_NUL)
