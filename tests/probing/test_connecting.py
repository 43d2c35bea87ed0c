"""Errors of the way to the service, in words: what is wrong, and what to do."""

import socket
import ssl

import pytest

from app.probing.connecting import translated

URL = "https://ada:secret@vibebox.example.org:8443/below"
HOST, PLACE = "vibebox.example.org", "vibebox.example.org:8443"


def untrusted(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, message)
    error.verify_message = message
    return error


@pytest.mark.parametrize(
    ("error", "says", "step"),
    [
        (socket.gaierror(-2, "Name or service not known"), f"{HOST} leads nowhere", "DNS"),
        (ConnectionRefusedError(), f"Nothing listens at {PLACE}", "Start the proxy"),
        (ConnectionResetError(), f"to {PLACE} ended without an answer", "log of the proxy"),
        (TimeoutError(), f"{PLACE} does not answer in time", "overloaded"),
        (untrusted("certificate has expired"), f"of {HOST} has expired", "Renew it"),
        (untrusted("certificate is not yet valid"), "is not valid yet", "the clock of this host"),
        (untrusted(f"Hostname mismatch, not valid for '{HOST}'."), "another name", "of that name"),
        (untrusted("self-signed certificate"), "is not trusted", "VIBEBOX_PROBE_CERTIFICATE"),
        (ssl.SSLError(1, "wrong version number"), "does not speak TLS", "VIBEBOX_PROBE_URL"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_error_says_what_to_do(error: Exception, says: str, step: str) -> None:
    found = translated(error, URL)
    assert says in found.says and step in found.next_step
    assert "secret" not in found.says + found.next_step
