"""Connects telemetry to an application: what it measures, and the scrape that shows it."""

from collections.abc import Iterable, Mapping

from flask import Flask

from app.core.settings import Settings
from app.core.trace_context import record_tasks
from app.engine import Engine
from app.metrics.catalogue import health_check_up, registry
from app.metrics.engine_calls import measured
from app.metrics.exemplars import of_trace
from app.metrics.instruments import measure_process
from app.metrics.inventory import Inventory
from app.metrics.team_series import TeamTerms
from app.metrics.usage_series import UsageSeries
from app.storage import Database
from app.tracing.recorder import Recorder
from prefork_metrics.exchange import Exchange, Exchanges
from prefork_metrics.exemplars import Pairs
from prefork_metrics.exposition import Exposition
from prefork_metrics.flask import expected
from prefork_metrics.requests import RequestMetrics
from prefork_metrics.runtime.scrapes import scrapes

SCRAPE_PATH = "/health/metrics"
# Probes and scrapes have threads of their own: that they wait for none says nothing of the rest.
_WITHOUT_QUEUE = "/health"


class Telemetry:
    """Telemetry of one application: what it measures, and the scrape that shows it."""

    def __init__(
        self, settings: Settings, database: Database, recorder: Recorder | None = None
    ) -> None:
        self._recorder = recorder
        measure_process(database, settings.pool_limit, with_probe=settings.probe != "off")
        self.scrapes = scrapes
        self._inventory = Inventory(
            database,
            settings.scrape_timeout,
            with_business=settings.business,
            probe_interval=None if settings.probe == "off" else settings.probe_interval,
        )
        self.usage = UsageSeries(
            database, settings.scrape_timeout, settings.usage_series, TeamTerms.of(settings)
        )
        self.exposition = Exposition(registry, [self._inventory], always=[health_check_up])
        self._requests = RequestMetrics(
            registry, scrape_path=SCRAPE_PATH, without_queue=_WITHOUT_QUEUE, exemplar=self._leads_to
        )

    def measure_engine(self, engine: Engine) -> Engine:
        """Return the Docker gateway, with each call counted."""
        return measured(engine)

    def measure_requests(
        self,
        app: Flask,
        exchanges: Exchanges,
        documented: Mapping[tuple[str, str], Iterable[int]],
    ) -> None:
        """Count the exchanges of `app`, whose blueprints are registered already.

        documented: maps (method, rule) to its statuses.
        """
        if self._recorder is not None:
            # Before the counts: an exemplar names a trace that is on its way.
            self._recorder.on_kept.append(of_trace)
            record_tasks(self._recorder.task)
            exchanges.on_start.append(self._recorder.start)
            exchanges.on_finish.append(self._recorder.finish)
        self._requests.watch(exchanges)
        self._requests.create_expected(
            expected(app, lambda method, rule: documented.get((method, rule), (200,)))
        )

    def close(self) -> None:
        """End the threads of telemetry."""
        self._inventory.close()
        self.usage.close()
        if self._recorder is not None:
            record_tasks(None)
            self._recorder.close()

    def _leads_to(self, exchange: Exchange) -> Pairs | None:
        """Return what leads from a bucket to a request's log line, and to its trace where traces
        are kept; None where there is none."""
        if not exchange.logged:
            return None
        if self._recorder is not None and not self._recorder.keep_named(exchange):
            return None
        if exchange.trace_id:
            return (("trace_id", exchange.trace_id),)
        return (("request_id", exchange.request_id),)
