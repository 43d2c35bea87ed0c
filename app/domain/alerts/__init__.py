"""Alerts: what Alertmanager tells this service, and who fires now."""
