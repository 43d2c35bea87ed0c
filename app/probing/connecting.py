"""What can go wrong on the way to the service, in words: names, connections, certificates."""

import socket
import ssl
from urllib.parse import urlsplit

from app.probing.failure import StepError

_CLOCK = "; where it is good, see the clock of this host"


def context(certificate: str | None) -> ssl.SSLContext:
    """Return what certificates are verified by: those of a file, or those that the host trusts."""
    return ssl.create_default_context(cafile=certificate)


def translated(error: Exception, url: str) -> StepError:
    """Return what an error of the network says of the way to `url`."""
    parts = urlsplit(url)
    host, place = parts.hostname or "", parts.netloc.rpartition("@")[2]
    if isinstance(error, socket.gaierror):
        return StepError(
            f"The name {host} leads nowhere ({error.strerror}).",
            "Correct VIBEBOX_PROBE_URL, or the DNS that this host asks.",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error, host)
    if isinstance(error, ssl.SSLError):
        why = getattr(error, "reason", None) or error
        return StepError(
            f"{place} does not speak TLS as https:// needs ({why}).",
            "See the TLS settings and the log of the proxy, and VIBEBOX_PROBE_URL.",
        )
    if isinstance(error, ConnectionRefusedError):
        return StepError(
            f"Nothing listens at {place}.",
            "Start the proxy (or the web server, where there is none), or correct "
            "VIBEBOX_PROBE_URL.",
        )
    if isinstance(error, TimeoutError):
        return StepError(
            f"{place} does not answer in time.",
            "See whether the proxy and the web server behind it are overloaded or hang, and the "
            "network in between.",
        )
    return StepError(
        f"The connection to {place} ended without an answer ({type(error).__name__}).",
        "See the log of the proxy, and whether the web server behind it restarts.",
    )


def _untrusted(error: ssl.SSLCertVerificationError, host: str) -> StepError:
    why = error.verify_message.rstrip(".")
    if "expired" in why:
        return StepError(
            f"The certificate of {host} has expired.",
            f"Renew it, and have the proxy read the new one{_CLOCK}.",
        )
    if "not yet valid" in why:
        return StepError(
            f"The certificate of {host} is not valid yet.", f"Correct it, or wait{_CLOCK}."
        )
    if "mismatch" in why.lower() or "doesn't match" in why:
        return StepError(
            f"The certificate is of another name than {host}.",
            "Give the proxy a certificate of that name, or correct VIBEBOX_PROBE_URL.",
        )
    return StepError(
        f"The certificate of {host} is not trusted ({why}).",
        "Have the proxy send the whole chain, or name who issued it in VIBEBOX_PROBE_CERTIFICATE.",
    )
