"""Connects telemetry to an application; the only module here that the factory knows."""

from collections.abc import Iterable, Mapping

from flask import Flask

from app.core.settings import Settings
from app.engine import Engine
from app.metrics.engine_calls import measured
from app.metrics.exposition import Exposition
from app.metrics.instruments import measure_process
from app.metrics.inventory import Inventory
from app.metrics.runtime.saturation import Scrapes
from app.storage import Database
from app.web import request_metrics
from app.web.exchange import Exchanges


class Telemetry:
    """Telemetry of one application: what it measures, and the scrape that shows it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        measure_process(database, settings.pool_limit)
        self.scrapes = Scrapes()
        self._inventory = Inventory(database, settings.scrape_timeout)
        self.exposition = Exposition([self._inventory])

    def measure_engine(self, engine: Engine) -> Engine:
        """Return the Docker door, with each call counted."""
        return measured(engine)

    def measure_requests(
        self,
        app: Flask,
        exchanges: Exchanges,
        documented: Mapping[tuple[str, str], Iterable[int]],
    ) -> None:
        """Count the requests of `app`, whose blueprints are registered already."""
        request_metrics.init_app(app, exchanges, documented)

    def close(self) -> None:
        """End the threads of telemetry."""
        self._inventory.close()
