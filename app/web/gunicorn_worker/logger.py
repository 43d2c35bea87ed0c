"""gunicorn's logger, without its access log."""

from gunicorn import glogging


class Logger(glogging.Logger):
    """Takes nothing down for each request, unless an access log was asked for by name.

    The stock logger does as soon as there is any logging configuration, and throws it away.
    """

    def _compute_access_log_enabled(self) -> bool:
        return bool(self.cfg.accesslog)
