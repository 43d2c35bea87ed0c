"""Bodies of the account routes."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Without NUL, which PostgreSQL cannot store.
_EMAIL = r"^[^@\s\x00]+@[^@\s\x00]+\.[^@\s.\x00]+$"
Email = Annotated[str, Field(max_length=254, pattern=_EMAIL, examples=["ada@example.org"])]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Registration(_Body):
    """A new account."""

    email: Email
    password: str = Field(min_length=12, max_length=256, examples=["correct horse battery"])


class Credentials(_Body):
    """E-mail address and password of an account."""

    email: Email
    password: str = Field(max_length=256, examples=["correct horse battery"])


class RefreshToken(_Body):
    """A refresh token; it can be used once."""

    refresh_token: str = Field(max_length=256, examples=["vbx_rt_…"])


class Tokens(BaseModel):
    """A login: a short access token, and a refresh token that gives the next pair."""

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
