"""gunicorn's threaded worker, for clients of every kind: see `app.web.gunicorn_worker.worker`."""

from app.web.gunicorn_worker.logger import Logger
from app.web.gunicorn_worker.worker import Worker

__all__ = ["Logger", "Worker"]
