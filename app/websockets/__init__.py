"""WebSockets over gunicorn's own socket: handshake, tickets, and the channel that services use."""

from app.websockets.lookout import Lookout
from app.websockets.routes import api
from app.websockets.sockets import Sockets
from app.websockets.tickets import Tickets

__all__ = ["Lookout", "Sockets", "Tickets", "api"]
