"""The script `vibebox`: a Ctrl-C ends it without a traceback, also before it has begun."""

import signal

_INTERRUPTED = 128 + signal.SIGINT


def run() -> None:
    """Carry out the command line of this process."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from app.cli.main import main

    try:
        try:
            signal.signal(signal.SIGINT, before)
            main(prog_name="vibebox")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:  # before click handles it, or after
        raise SystemExit(_INTERRUPTED) from None
