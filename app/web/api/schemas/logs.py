"""Queries and answers of the log routes."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field

from app.domain.fields import NO_NUL, InUtc, WrittenOut
from app.domain.logs.cursors import Order
from app.storage import LogStream
from app.web.api.schemas.tickets import TicketQuery

_NS = 1_000_000_000

# Times that 64 bits of nanoseconds hold, with room for any zone.
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(2261, 12, 31, tzinfo=UTC)
Moment = Annotated[
    AwareDatetime,
    Field(ge=_EARLIEST, le=_LATEST, examples=["2026-01-31T12:00:00Z"]),
    WrittenOut,
    InUtc,
]


class LogPath(BaseModel):
    """Which environment."""

    environment_id: str = Field(max_length=64, pattern=NO_NUL)


class LogQuery(BaseModel):
    """Which lines, and which page of them."""

    stream: LogStream | None = None
    since: Moment | None = Field(default=None, description="Lines of this moment and later.")
    until: Moment | None = Field(default=None, description="Lines before this moment.")
    search: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        pattern=NO_NUL,
        description="Lines that contain this text, in capital or small letters.",
    )
    order: Order = Field(default=Order.ASC, description="Oldest (asc) or newest (desc) first.")
    limit: int = Field(
        default=100, ge=1, le=1000, description="Lines at most; a page of long ones holds fewer."
    )
    cursor: str | None = Field(
        default=None, max_length=64, description="From a page of the same order."
    )


class LogLineView(BaseModel):
    """A line that a container wrote."""

    id: str = Field(description="Rises with each line.", examples=["4711"])
    at: str = Field(
        description="Docker's time of the line, in UTC, with nanoseconds (RFC 3339).",
        examples=["2026-01-31T12:00:00.123456789Z"],
    )
    stream: LogStream
    line: str = Field(description="Without its newline.", examples=["listening on :8000"])

    @classmethod
    def of(cls, entry: Any) -> "LogLineView":
        """Return the view of a stored line."""
        seconds, rest = divmod(entry.at_ns, _NS)
        moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return cls(
            id=str(entry.id), at=f"{moment}.{rest:09}Z", stream=entry.stream, line=entry.line
        )


class LogStreamLine(BaseModel):
    """A line as a stream sends it; `cursor` is the place behind it."""

    cursor: str
    id: str
    at: str
    stream: LogStream
    line: str

    @classmethod
    def of(cls, entry: Any, cursor: str) -> "LogStreamLine":
        """Return the message of a stored line."""
        return cls(cursor=cursor, **LogLineView.of(entry).model_dump())


class LogStreamQuery(TicketQuery):
    """Where to go on."""

    cursor: str | None = Field(
        default=None,
        max_length=64,
        description="That of the last message or page (order=asc); without, the last 100 lines.",
    )


class LogPageView(BaseModel):
    """A page of lines."""

    items: list[LogLineView]
    next_cursor: str | None = Field(
        description="For the next page; null when there is none at present."
    )
    end_cursor: str | None = Field(
        description="For what comes after the last line of this page, also later."
    )
