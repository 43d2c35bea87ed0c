"""Whether a web server runs with the directory of the metrics, and answers."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

from app.core.addresses import address_of
from app.core.errors import StoreUnavailableError
from app.core.settings import Settings
from app.doctor.findings import Finding, failed, ok, skipped
from app.stores.http import Store
from prefork_metrics.directory import Owner, owner_of

SECONDS = 3.0
"""Of which the question gets half."""
_UNSEEN = Owner()


def look(settings: Settings) -> Finding:
    """Return whether the web server of these settings is at work."""
    directory = Path(settings.prometheus_multiproc_dir).absolute()
    try:
        owner = owner_of(directory) if directory.is_dir() else _UNSEEN
    except OSError:
        owner = _UNSEEN
    if owner is _UNSEEN:
        return skipped("Not looked at, because of metrics_directory.")
    if owner is None:
        return failed(
            f"No web server runs with PROMETHEUS_MULTIPROC_DIR={directory}.",
            "Start it (`vibebox run`, or your supervisor), and ask again with the same settings in "
            "the same working directory.",
        )
    where = f" at {owner.listening_on}" if owner.listening_on else ""
    url = address(owner, settings)
    if url is None:
        return ok(f"A web server runs{where}.")
    try:
        Store("HOST", url).get("/health/live", {})
    except StoreUnavailableError:
        return failed(
            f"The web server (process {owner.process}){where} runs and does not answer.",
            "See its log, and restart it: SIGTERM, then start it again.",
        )
    return ok(f"The web server answers{where}.")


def address(owner: Owner, settings: Settings) -> str | None:
    """Return where it answers this host; None where we cannot ask, as from another container."""
    if owner.host != socket.gethostname() or "certfile" in settings.gunicorn_cmd_args:
        return None
    for bound in owner.listening_on.split(", "):
        try:
            parts = urlsplit(f"http://{bound}")
            host, port = parts.hostname, parts.port
        except ValueError:
            continue
        if host and port:
            return f"http://{_reached(host)}:{port}"
    return None


def _reached(host: str) -> str:
    """Return the address at which this host reaches a server that listens there."""
    address = address_of(host)
    if address is None:
        return host
    if address.is_unspecified:
        return "[::1]" if address.version == 6 else "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)
