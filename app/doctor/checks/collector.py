"""Whether the receivers of traces, metrics and log lines take what this service sends.

Each is sent a message that holds nothing, with the headers and certificates of the settings, which
is answered as any other and leaves nothing there.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from app.core import setting_values
from app.core.otlp_sender import Answer, Sender
from app.core.otlp_target import Signal, Target, target
from app.core.settings import Settings
from app.doctor.findings import Finding, ended, failed, not_configured, ok, warning
from app.tracing.installed import is_installed

SECONDS = 3.0
_REQUEST_SECONDS = 1.0
_EMPTY = b""
"""A message of no resource (protobuf: nothing stands for nothing)."""
# It has read the message, and wants one that holds something.
_READ = "status 400"
_UNTRUSTED = "SSLError"
"""What the sender says where TLS does not come about."""
_CERTIFY = (
    "Renew its certificate, or name that of who issued it in OTEL_EXPORTER_OTLP_CERTIFICATE; where "
    "it speaks no TLS, let the address begin with http://."
)
_START = "Start it, or correct the address; what is sent waits on disk meanwhile, as much as fits."


class Receiver(NamedTuple):
    """Where something is sent, and which setting says so."""

    what: str
    setting: str
    target: Target


def look(settings: Settings) -> Finding:
    """Return which of the receivers takes nothing, the first one that does not."""
    if settings.metrics_refusal:
        return failed("Metrics are not pushed.", ended(settings.metrics_refusal))
    receivers = list(_receivers(settings))
    if not receivers:
        return not_configured(
            "OTEL_EXPORTER_OTLP_ENDPOINT is not set: no traces, metrics or log lines are sent."
        )
    if not is_installed():
        return failed(
            "Nothing is sent: what encodes it is not installed.",
            "Run `pip install 'vibebox[otel]'`, and restart VibeBox.",
        )
    for receiver in receivers:
        if found := _trouble(receiver):
            return found
    if settings.metrics_doubt:
        return warning("Metrics may be refused.", ended(settings.metrics_doubt))
    return ok(f"Receivers answer for {', '.join(one.what for one in receivers)}.")


def _receivers(settings: Settings) -> Iterator[Receiver]:
    for signal, url in (
        (Signal.TRACES, settings.traces_endpoint),
        (Signal.METRICS, settings.metrics_endpoint),
        (Signal.LOGS, settings.logs_endpoint or settings.container_logs_endpoint),
    ):
        if url is not None:
            own = getattr(settings, f"otel_exporter_otlp_{signal}_endpoint") is not None
            name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
            setting = name if own else "OTEL_EXPORTER_OTLP_ENDPOINT"
            yield Receiver(signal.value, setting, target(settings, signal, url))
    if settings.user_otlp_endpoint is not None:
        url = setting_values.below(settings.user_otlp_endpoint, "v1/traces")
        headers = setting_values.pairs(settings.user_otlp_headers.get_secret_value())
        yield Receiver(
            "users' programs",
            "VIBEBOX_USER_OTLP_ENDPOINT",
            Target(url, headers, _REQUEST_SECONDS, gzip=False, certificate=None),
        )


def _trouble(receiver: Receiver) -> Finding | None:
    answer = _asked(replace(receiver.target, timeout=_REQUEST_SECONDS))
    if answer.accepted is not None or answer.refused.startswith(_READ):
        return None
    if answer.refused:
        return failed(
            ended(
                f"The receiver of {receiver.what} at {receiver.setting} refuses them: "
                f"{answer.refused}"
            ),
            "Correct the address, or the credentials in the headers of that setting; see the "
            "receiver's own log.",
        )
    next_step = _CERTIFY if answer.retry == _UNTRUSTED else _START
    return failed(
        f"The receiver of {receiver.what} at {receiver.setting} does not take them: "
        f"{answer.retry}.",
        next_step,
    )


def _asked(receiver: Target) -> Answer:
    sender = Sender(receiver)
    try:
        return sender.send(_EMPTY)
    finally:
        sender.close()
