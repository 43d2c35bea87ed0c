"""The script `vibebox`: a Ctrl-C ends it without a traceback, also before it has begun."""

import signal


def run() -> None:
    """Carry out the command line of this process."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from app.cli.main import main

    signal.signal(signal.SIGINT, before)
    try:
        main(prog_name="vibebox")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
