"""gunicorn's configuration: `gunicorn -c gunicorn.conf.py app.wsgi:app`."""

import sys

# On HUP gunicorn runs this file again in a master that has our modules loaded, and its workers
# inherit them: without this a reload would go on with the old code and the old schema revision.
if "app.web.server" in sys.modules:
    for _name in [name for name in sys.modules if name.partition(".")[0] == "app"]:
        del sys.modules[_name]

from app.web.server import *  # noqa: F403
