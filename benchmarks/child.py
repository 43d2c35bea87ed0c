"""A process that serves one variant in short rounds: a line comes in, a round's time goes out.

`python -m benchmarks.child VARIANT [REQUESTS]`: with a number, one round of so many and no more.
"""

import gc
import logging
import sys
import time
from typing import TYPE_CHECKING

from werkzeug.test import EnvironBuilder

from benchmarks.variants import PATH, VARIANTS

if TYPE_CHECKING:
    from flask import Flask

REQUESTS = 400


def main() -> None:
    """Build the variant, warm it up, and run a round for each line on standard input."""
    try:
        app = VARIANTS[sys.argv[1]].build()
    except ModuleNotFoundError as error:
        sys.exit(f"{sys.argv[1]}: {error}; `make benchmark` installs what is compared")
    _log_to_nowhere()
    _make_even()
    if len(sys.argv) > 2:
        # Its runs fall unevenly on so few requests.
        gc.disable()
        _round(app, int(sys.argv[2]))
        return
    _round(app)
    for _line in sys.stdin:
        print(_round(app), flush=True)


def _make_even() -> None:
    """Let all children carry the same load: what ours loads for other reasons is not counting.

    A larger heap makes the garbage collector slower, whatever made it large.
    """
    import prometheus_client
    import sqlalchemy.orm

    del prometheus_client, sqlalchemy
    gc.collect()
    gc.freeze()


def _log_to_nowhere() -> None:
    """Format log lines as the product does, and write them to where no disk is."""
    from app.core.logging import JsonFormatter, StdoutHandler

    handler = StdoutHandler(open("/dev/null", "w"))
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _round(app: "Flask", requests: int = REQUESTS) -> float:
    """Return the CPU time of one request in microseconds, averaged over a round."""
    environ = EnvironBuilder(PATH).get_environ()
    started = time.process_time()
    for _ in range(requests):
        body = app.wsgi_app(dict(environ), lambda status, headers, error=None: lambda data: None)
        for _chunk in body:
            pass
        body.close()  # type: ignore[attr-defined]
    return (time.process_time() - started) / requests * 1e6


if __name__ == "__main__":
    main()
