"""gunicorn's threaded worker, for clients of every kind: see `app.worker.worker`."""

from app.worker.logger import Logger
from app.worker.worker import Worker

__all__ = ["Logger", "Worker"]
