"""The stores that the settings name; None for those they do not."""

from dataclasses import dataclass

from pydantic import SecretStr

from app.core.settings import Settings
from app.stores import alertmanager, log_lines, prometheus, traces
from app.stores.alertmanager import AlertmanagerStore
from app.stores.http import Store
from app.stores.log_lines import LogStore, Loki, VictoriaLogs
from app.stores.prometheus import PrometheusStore
from app.stores.traces import TraceStore

_KINDS: dict[str, type[Loki | VictoriaLogs]] = {"loki": Loki, "victorialogs": VictoriaLogs}


@dataclass(frozen=True)
class Stores:
    """What can be asked of the past, and who tells of alerts."""

    prometheus: PrometheusStore | None
    traces: TraceStore | None
    lines: LogStore | None
    alertmanager: AlertmanagerStore | None = None


def build(settings: Settings) -> Stores:
    """Return the stores; nothing is asked of them yet."""
    service = settings.service_name
    watching = _store(prometheus.SETTING, settings.prometheus_url, settings.prometheus_token)
    tracing = _store(traces.SETTING, settings.trace_store_url, settings.trace_store_token)
    logging = _store(log_lines.SETTING, settings.log_store_url, settings.log_store_token)
    telling = _store(alertmanager.SETTING, settings.alertmanager_url, settings.alertmanager_token)
    return Stores(
        None if watching is None else PrometheusStore(watching),
        None if tracing is None else TraceStore(tracing, service),
        None if logging is None else _KINDS[settings.log_store_kind](logging, service),
        None if telling is None else AlertmanagerStore(telling),
    )


def _store(setting: str, url: str | None, token: SecretStr | None) -> Store | None:
    if url is None:
        return None
    return Store(setting, url, None if token is None else token.get_secret_value())
