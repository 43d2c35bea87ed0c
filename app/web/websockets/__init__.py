"""WebSockets over gunicorn's own socket: handshake, and the channel that services use."""
