"""The console: pages at `/` for the developer in front of VibeBox, on top of the public API.

The pages hold nothing of anybody's: they are shells that one small script fills through
`/api/v1`, as whoever has signed in. So they need no login to be served, and the rules of who may
see what stand in one place.
"""

from app.console.access_routes import api as access
from app.console.errors import init_app
from app.console.monitoring import Monitoring
from app.console.routes import pages

__all__ = ["Monitoring", "access", "init_app", "pages"]
