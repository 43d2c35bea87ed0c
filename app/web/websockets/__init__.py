"""WebSockets over gunicorn's own socket: handshake, tickets, and the channel that services use."""
