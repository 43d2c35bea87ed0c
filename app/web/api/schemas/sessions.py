"""Bodies, queries and answers of the session routes."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.domain.fields import NO_NUL
from app.storage import SessionStatus, SessionType
from app.web.api.schemas.pages import PageQuery, PageView
from app.web.api.schemas.tickets import TicketQuery
from app.web.streams.terminal_messages import LARGEST


class NewSession(BaseModel):
    """What to start."""

    model_config = ConfigDict(extra="forbid")

    type: SessionType = Field(
        description="tmux outlives its terminals, a shell is its terminal; a VS Code server is "
        "reached by its connection_url.",
        examples=["tmux"],
    )


class SessionPath(BaseModel):
    """Which session."""

    session_id: str = Field(max_length=64, pattern=NO_NUL)


class SessionQuery(PageQuery):
    """Which page of which sessions."""

    status: SessionStatus | None = None


class TerminalQuery(TicketQuery):
    """How large the terminal is at the beginning."""

    cols: int = Field(default=80, ge=1, le=LARGEST)
    rows: int = Field(default=24, ge=1, le=LARGEST)
    acknowledge: bool = Field(
        default=False, description="Tell how much of the input the command has taken."
    )


class SessionView(BaseModel):
    """A session, as whoever sees its environment does."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"])
    environment_id: str
    user_id: str | None = Field(description="Who started it.")
    type: SessionType
    status: SessionStatus
    ending: bool = Field(description="Somebody asked for its end, and something still goes on.")
    name: str = Field(examples=["vibebox-0f8c2a52"])
    connection_url: str | None = Field(
        description="Where a VS Code server is reached.", examples=["http://127.0.0.1:32768/"]
    )
    exit_code: int | None = Field(description="Of a shell that has ended, where it is known.")
    created_at: datetime
    last_active_at: datetime
    ended_at: datetime | None


class ConnectionView(BaseModel):
    """How to get to a VS Code server."""

    connection_url: str = Field(examples=["http://127.0.0.1:32768/"])
    password: str = Field(description="What its page asks for.")


class SessionPageView(PageView[SessionView]):
    """A page of sessions, newest first; `total` counts all that match."""
