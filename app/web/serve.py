"""The gunicorn of `vibebox run`: `gunicorn`, but nothing is imported from the working directory.

gunicorn puts that directory first on the path, and so would take a folder `app`, or a `flask.py`,
of whoever started it for ours. The command of the Procfile is gunicorn's own: it is for a directory
that holds VibeBox alone.
"""

import os

from gunicorn.app.wsgiapp import WSGIApplication


class Server(WSGIApplication):
    """gunicorn, with the path of modules left as it is."""

    def chdir(self) -> None:
        """Go to the directory that is asked for (gunicorn's `--chdir`), and no further."""
        os.chdir(self.cfg.chdir)


def main() -> None:
    """Serve by the arguments of this process, which are those of gunicorn."""
    Server("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn").run()


if __name__ == "__main__":
    main()
