"""Connects telemetry to an application; the only module here that the factory knows."""

from collections.abc import Iterable, Mapping

from flask import Flask

from app.engine import Engine
from app.exchange import Exchanges
from app.settings import Settings
from app.storage import Database
from app.telemetry import requests
from app.telemetry.engine_calls import measured
from app.telemetry.exposition import Exposition
from app.telemetry.instruments import measure_process
from app.telemetry.inventory import Inventory
from app.telemetry.runtime.saturation import Scrapes


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
        requests.init_app(app, exchanges, documented)

    def close(self) -> None:
        """End the threads of telemetry."""
        self._inventory.close()
