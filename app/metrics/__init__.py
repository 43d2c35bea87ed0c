"""Telemetry of a service of many processes. `wiring` connects it to an application.

Nothing in the product calls a metric: requests are measured by hooks, statements by SQLAlchemy's
events, Docker by wrapping the engine gateway, and everything else is told by `app.core.signals`.
"""
