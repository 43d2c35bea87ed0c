"""The audit log: who changed what, from where."""

from app.domain.audit.recording import Target, origin, record

__all__ = ["Target", "origin", "record"]
