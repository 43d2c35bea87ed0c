"""Whether an address can be listened on, told in a sentence before a server tries."""

import errno
import socket

from app.core.errors import VibeBoxError

_REASONS = {
    errno.EADDRINUSE: "something else listens there; stop it, or set PORT to another port",
    errno.EACCES: "this user may not listen there; set PORT to 1024 or above",
    errno.EADDRNOTAVAIL: "this host has no such address; set HOST to one of its own",
}


class CannotListenError(VibeBoxError):
    """The address of the service is not free, or not to be had."""

    slug = "cannot-listen"
    title = "The service cannot listen"


def refuse_taken(host: str, port: int) -> None:
    """Return where `host` and `port` can be listened on now.

    Raises: CannotListenError, which says what to do. A name that cannot be resolved is left to the
    server to tell.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As gunicorn does: connections of before that are winding down are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror:
            return
        except OSError as error:
            why = _REASONS.get(error.errno or 0, error.strerror or str(error))
            raise CannotListenError(f"{host} port {port}: {why}.") from error
