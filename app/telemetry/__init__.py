"""Telemetry of a service of many processes. `Telemetry` is its whole wiring.

Nothing in the product calls a metric: requests are measured by hooks, statements by SQLAlchemy's
events, Docker by wrapping the engine door, and everything else is told by `app.signals`.
"""
