"""Queries and answers of the WebSocket routes."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class SocketTicketView(BaseModel):
    """A ticket that opens one WebSocket."""

    model_config = ConfigDict(from_attributes=True)

    ticket: str = Field(examples=["vbx_ws_x5x0uQ0Yk1nN2bq3mXW1mA0l3sJH2n4fQ6w8e0r2t4y"])
    expires_in: int = Field(description="Seconds.", examples=[30])


class TicketQuery(BaseModel):
    """How a client that can offer no subprotocol sends its ticket."""

    ticket: str | None = Field(
        default=None, max_length=128, description="Instead of a subprotocol; works once."
    )


def websocket(description: str) -> dict[str, Any]:
    """Return the documented answer of a route that becomes a WebSocket."""
    return {
        "description": f"WebSocket; offer the subprotocol `vibebox.v1`, and `vibebox.ticket.` with "
        f"a ticket where no Authorization header can be sent. {description}"
    }
