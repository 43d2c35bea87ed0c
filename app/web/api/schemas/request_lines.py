"""Queries and answers of the service's own log lines."""

from pydantic import BaseModel, Field

from app.core.sentences import described
from app.explaining.answer import RequestLine
from app.stores.log_lines import ID
from app.web.api.schemas.logs import Moment


class RequestPath(BaseModel):
    """Which request, or trace."""

    request_id: str = Field(
        pattern=described(ID, "Give the id of a request (X-Request-ID) or of a trace."),
        description="Id of a request, as in X-Request-ID, or of a trace.",
    )


class RequestQuery(BaseModel):
    """Which of its lines."""

    since: Moment | None = Field(
        default=None, description="Lines of this moment and later; by default of the past week."
    )
    until: Moment | None = Field(default=None, description="Lines before this moment.")
    limit: int = Field(default=100, ge=1, le=1000, description="Lines at most, the first ones.")


class RequestLinesView(BaseModel):
    """Log lines of the service, in the order of time."""

    items: list[RequestLine]
