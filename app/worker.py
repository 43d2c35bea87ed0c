"""gunicorn's threaded worker, with a listening socket that closes when the worker stops accepting.

The stock worker only looks away from the socket while it finishes its requests. Since every worker
holds a copy, the kernel goes on taking connections for a server that will never read them; they
hang until the last worker is gone and are then reset. Here those that wait already are served, and
new ones are refused at once (or, on a reload, go to the new workers), so a client or a proxy can
turn elsewhere.
"""

from typing import Any

from gunicorn.workers.gthread import ThreadWorker


class Worker(ThreadWorker):
    """The worker class of `gunicorn.conf.py`."""

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or pause accepting; the pause of a stopping worker is for good."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                self._accept_waiting(listener)
                listener.close()

    def _accept_waiting(self, listener: Any) -> None:
        """Take in what waits now; bounded, since under load more keeps coming."""
        for _ in range(self.cfg.threads):
            before = self.nr_conns
            self.accept(listener)
            if self.nr_conns == before:
                return
