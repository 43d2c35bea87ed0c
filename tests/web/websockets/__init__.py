"""WebSockets: the channel over a real pair of sockets, handshakes, tickets, slots."""
