"""Telemetry of a service of many processes; `app.web.telemetry` and `app.agent.process` connect it.

Nothing in the product calls a metric: requests are measured by hooks, statements by SQLAlchemy's
events, Docker by wrapping the engine gateway, and everything else is told by `app.core.signals`.
"""
